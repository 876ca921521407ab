/** A secret that could not be read; `message` holds neither the secret nor what a program or service said. */
export class SecretFault extends Error {
  override readonly name = "SecretFault";
}
