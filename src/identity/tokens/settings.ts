/** `identity.tokens` of postern.yaml. Seconds. */
export interface TokenSettings {
  /** Lifetime when none is asked for. */
  readonly lifetime: number;
  /** The longest one that may be asked for. */
  readonly longest: number;
  /** Living tokens of one principal. */
  readonly perPrincipal: number;
}

export const defaultTokenSettings: TokenSettings = { lifetime: 1800, longest: 3600, perPrincipal: 100 };
/** Whoever asks for less gets this. */
export const shortestSeconds = 300;
