/** An inclusion proof as the API tells it. */
import type { ProofFile } from "../../audit/verify/prove.ts";
import { leafHash } from "../../audit/verify/tree.ts";

export function tellProof(proof: ProofFile) {
  // C2SP tlog-checkpoint: origin, size, root.
  const [, , root = ""] = proof.checkpoint.split("\n");
  const hex = (base64: string) => Buffer.from(base64, "base64").toString("hex");
  return {
    record: proof.leaf,
    index: proof.index,
    log: proof.log,
    // As `postern audit prove` writes it.
    proof: `${JSON.stringify(proof, null, 2)}\n`,
    checkpoint: proof.checkpoint,
    path: proof.path.map(hex),
    leafHash: leafHash(Buffer.from(proof.leaf, "utf8")).toString("hex"),
    root: hex(root),
    size: proof.size,
    publicKey: proof.key,
  };
}
