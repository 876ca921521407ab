/** The token that `postern login` has kept. */

/** null: none is kept for this gateway. */
export async function storedToken(_url: string): Promise<string | null> {
  return null;
}
