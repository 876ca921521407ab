/** Bounds on what a policy may hold: it is written by people, so what exceeds these is a mistake or an attack. */
export const maxFileBytes = 512 * 1024;
export const maxFiles = 200;
export const maxRules = 1000;
export const maxLabels = 1000;
export const maxPatterns = 1000;
/** Patterns of `detect:`; with the built-in kinds each has a bit of a word. */
export const maxDetectPatterns = 20;
export const maxProblems = 200;
/** Of one condition, in UTF-16 units. */
export const maxCondition = 8192;
export const maxConditionNodes = 1000;
export const maxConditionDepth = 60;
/** Macros within macros: each level multiplies the work by the length of a list. */
export const maxLoops = 2;
/** Longest list of facts that a loop within a loop may walk. */
export const maxLoopedItems = 500;
