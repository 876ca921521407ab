/** As much of a browser as a login needs: cookies by host and path, redirects one by one, forms and links of a page. */

interface Cookie {
  readonly name: string;
  value: string;
  readonly path: string;
  readonly attributes: readonly string[];
}

export interface Page {
  readonly url: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export class Browser {
  readonly cookies = new Map<string, Cookie>();
  /** Every address that was asked, in order. */
  readonly visited: string[] = [];

  /** Loads a page and follows redirects, as a person who types the address or follows a link. */
  async open(url: string, init: RequestInit = {}, hops = 12): Promise<Page> {
    const response = await this.request(url, { headers: { accept: "text/html" }, ...init });
    const location = response.headers.get("location");
    if (location === null || response.status < 300 || response.status >= 400)
      return { url, status: response.status, headers: response.headers, text: await response.text() };
    await response.body?.cancel();
    if (hops === 0) throw new Error("too many redirects");
    return this.open(new URL(location, url).href, {}, hops - 1);
  }

  /** One request with this browser's cookies; redirects are not followed. */
  async request(url: string, init: RequestInit = {}): Promise<Response> {
    this.visited.push(url);
    const headers = new Headers(init.headers);
    const cookies = this.cookiesFor(url);
    if (cookies !== "") headers.set("cookie", cookies);
    const response = await fetch(url, { ...init, headers, redirect: "manual" });
    for (const line of response.headers.getSetCookie()) this.keep(new URL(url), line);
    return response;
  }

  /** Submits the first form of a page with these values. */
  submit(page: Page, values: Record<string, string>): Promise<Page> {
    const action = /<form[^>]* action="([^"]*)"/.exec(page.text)?.[1] ?? page.url;
    const hidden = [...page.text.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)];
    const body = new URLSearchParams({ ...Object.fromEntries(hidden.map(([, n, v]) => [n, v])), ...values });
    return this.open(new URL(action, page.url).href, { method: "POST", body });
  }

  /** Value of a cookie, by name. */
  cookie(name: string): Cookie | undefined {
    return [...this.cookies.values()].find((one) => one.name === name);
  }

  private cookiesFor(url: string): string {
    const { pathname } = new URL(url);
    return [...this.cookies.values()]
      .filter(({ path }) => pathname === path || pathname.startsWith(path.endsWith("/") ? path : `${path}/`))
      .map(({ name, value }) => `${name}=${value}`)
      .join("; ");
  }

  private keep(url: URL, line: string): void {
    const [pair = "", ...attributes] = line.split(";").map((part) => part.trim());
    const name = pair.slice(0, pair.indexOf("="));
    const value = pair.slice(pair.indexOf("=") + 1);
    const path = attributes.find((one) => /^path=/i.test(one))?.slice(5) ?? "/";
    // Cookies know no ports: one host, one jar.
    const key = `${url.hostname} ${path} ${name}`;
    const gone = attributes.some((one) => /^max-age=0$/i.test(one) || /^expires=Thu, 01 Jan 1970/i.test(one));
    if (gone) this.cookies.delete(key);
    else this.cookies.set(key, { name, value, path, attributes });
  }
}
