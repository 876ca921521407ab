/** Metrics in the Prometheus text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). Pure. */

export interface Sample {
  /** Labels hold names that we chose, never an address, a token or SQL. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Metric {
  /** snake_case with unit, counters end in `_total`. */
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly samples: readonly Sample[];
}

export const prometheusType = "text/plain; version=0.0.4; charset=utf-8";

/** The metrics as one text. Throws TypeError for a name that is none: that is a fault of the program. */
export function renderMetrics(metrics: readonly Metric[]): string {
  let text = "";
  for (const { name, help, type, samples } of metrics) {
    if (!/^[a-z_][a-z0-9_]*$/.test(name)) throw new TypeError(`not a metric name: ${name}`);
    text += `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
    for (const { labels, value } of samples) text += `${name}${renderLabels(labels)} ${renderValue(value)}\n`;
  }
  return text;
}

function renderLabels(labels: Sample["labels"]): string {
  const entries = Object.entries(labels ?? {});
  if (entries.length === 0) return "";
  const rendered = entries.map(([name, value]) => {
    if (!/^[a-z_][a-z0-9_]*$/.test(name)) throw new TypeError(`not a label name: ${name}`);
    return `${name}="${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
  });
  return `{${rendered.join(",")}}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function renderValue(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}

/** What every process says of itself. */
export function processMetrics(version: string): Metric[] {
  const cpu = process.cpuUsage();
  const gauge = (name: string, help: string, value: number): Metric => ({
    name,
    help,
    type: "gauge",
    samples: [{ value }],
  });
  return [
    {
      name: "postern_build_info",
      help: "The running version.",
      type: "gauge",
      samples: [{ labels: { version }, value: 1 }],
    },
    {
      name: "process_cpu_seconds_total",
      help: "User and system CPU time.",
      type: "counter",
      samples: [{ value: (cpu.user + cpu.system) / 1e6 }],
    },
    gauge("process_resident_memory_bytes", "Resident memory.", process.memoryUsage.rss()),
    gauge(
      "process_start_time_seconds",
      "When the process started, since the epoch.",
      (Date.now() - performance.now()) / 1000,
    ),
  ];
}
