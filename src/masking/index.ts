/** How values are hidden: masks of rows and copied text, texts of errors, and the second line by content. */

export { passes } from "./cell.ts";
export { type CopyMasker, type CopyMaskOptions, createCopyMasker } from "./copy/index.ts";
export {
  type ContentGuard,
  createContentGuard,
  type DetectionRule,
  type DetectionSettings,
  isScanned,
} from "./detect/guard.ts";
export { builtinKinds } from "./detect/kinds.ts";
export { compilePattern, PatternError } from "./detect/userpattern.ts";
export { MaskError } from "./errors.ts";
export { createMaskKeys, type MaskKeys, type SourceDigest } from "./keys.ts";
export { createNameMask, type NameMask } from "./names.ts";
export { MaskOutput } from "./output.ts";
export { createPlanMask } from "./plansizes.ts";
export { createRowMasker, type MaskColumn, type RowMasker } from "./row.ts";
export { type ColumnSample, proposeLabels, type ScanReport } from "./scan.ts";
export { scrubError, scrubNotice } from "./scrub.ts";
export { maskText } from "./text.ts";
