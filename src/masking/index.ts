/** How values are hidden: masks of rows and copied text, texts of errors, and the second line by content. */

export { type CopyMasker, type CopyMaskOptions, createCopyMasker } from "./copy/index.ts";
export {
  type ContentGuard,
  createContentGuard,
  type DetectionFinding,
  type DetectionRule,
  type DetectionSettings,
  isScanned,
} from "./detect/guard.ts";
export { type BuiltinKind, builtinKinds } from "./detect/kinds.ts";
export { compilePattern, type Matcher, PatternError } from "./detect/userpattern.ts";
export { MaskError } from "./errors.ts";
export { createMaskKeys, type MaskKeys, type SourceDigest } from "./keys.ts";
export { MaskOutput } from "./output.ts";
export { createRowMasker, type MaskColumn, type RowMasker } from "./row.ts";
export { type ColumnSample, proposeLabels, type ScanFinding, type ScanReport } from "./scan.ts";
export { type NameField, scrubError, scrubNotice } from "./scrub.ts";
export { maskText } from "./text.ts";
export { isMaskable } from "./types/index.ts";
