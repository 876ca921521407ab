/** The PostgreSQL frontend/backend protocol 3.0 and 3.2 as functions over bytes. No sockets, no policy. */
export * from "./backend.ts";
export * from "./backend-decode.ts";
export * from "./backend-encode.ts";
export { ProtocolError } from "./errors.ts";
export { backendLimits, type Frame, FrameReader, frontendLimits } from "./frames.ts";
export * from "./frontend.ts";
export * from "./frontend-decode.ts";
export { parseOptions } from "./options.ts";
export { certificateHash } from "./sasl/certificate.ts";
export { md5Password } from "./sasl/md5.ts";
export { decodeOauthBearer, encodeOauthFailure, isOauthFailureReply } from "./sasl/oauthbearer.ts";
export { type ChannelBinding, type ScramClient, scramClient } from "./sasl/scram.ts";
export { type ScramVerifier, scramMechanisms, scramServer } from "./sasl/scram-server.ts";
export * from "./startup.ts";
export { elementType, typeName } from "./values/types.ts";
export { decodeParameter } from "./values.ts";
