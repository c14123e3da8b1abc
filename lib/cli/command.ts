/** What a module of the table in main.ts exports. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What `tsloop help <name>` shows: a line that begins with `Usage:`, then what it does and its options. */
  readonly usage: string;
  /** The exit code. What is thrown is a defect, but for a {@link UsageError} and what `parseArgs` throws. */
  run(args: readonly string[]): Promise<number>;
}

/** A command was called wrongly: shown as one sentence. */
export class UsageError extends Error {}

/** Exit code of a wrong call. */
export const WRONG_CALL = 2;

/** Whether an error says that the call was wrong: ours, and those of `node:util`'s parseArgs. */
export function isWrongCall(error: unknown): error is Error {
  const code = (error as { code?: unknown } | null)?.code;
  return error instanceof UsageError || (typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS_'));
}
