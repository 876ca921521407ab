/** The verifier: needs only the files and the public key, and nothing else of Postern. */
export type { Checkpoint, Read, VerifierKey } from "./note.ts";
export { formatVerifierKey, keyId, openCheckpoint, parseVerifierKey, strictBase64 } from "./note.ts";
export { consistencyProof, inclusionProof, verifyConsistency, verifyInclusion } from "./proofs.ts";
export type { ProofFile, ProvenRecord } from "./prove.ts";
export { proveLeaf, verifyProof } from "./prove.ts";
export { CompactRange, leafHash, nodeHash } from "./tree.ts";
export type { BadPlace, VerifyOptions, VerifyReport } from "./verify.ts";
export { verifyLog } from "./verify.ts";
