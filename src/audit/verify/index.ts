/** The verifier: needs only the files and the public key, and nothing else of Postern. */
export { type KeptCheckpoint, readKept } from "./kept.ts";
export { parseVerifierKey } from "./note.ts";
export { consistencyProof, inclusionProof, verifyConsistency, verifyInclusion } from "./proofs.ts";
export { proveLeaf, verifyProof } from "./prove.ts";
export type { VerifyOptions, VerifyReport } from "./report.ts";
export { followRotations } from "./rotations.ts";
export { describeReport } from "./say.ts";
export { CompactRange, leafHash } from "./tree.ts";
export { verifyLog } from "./verify.ts";
