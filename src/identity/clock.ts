/** Seconds by which the clocks of an identity provider and of the gateway may differ. */
export const clockTolerance = 30;
