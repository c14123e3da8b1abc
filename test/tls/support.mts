/** Runs the programs of this folder on each line, with the probe: an addon for tests that is built from native/probe. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Ending, launch } from '../support/launch.mjs';
import { type NodeLine, plainEnvironment, root } from '../support/nodes.mjs';

const probe = resolve(root, 'build/tsloop-probe.node');

/** Skips a test, saying why, where it cannot run. */
export function needProbe(test: { skip(): void }): void {
  const onLinux = process.platform === 'linux';
  if (onLinux && existsSync(probe)) return;
  const why = onLinux
    ? 'the probe is not built: node scripts/build.mjs probe'
    : `the oracle is not made for ${process.platform}`;
  console.log(`skipped: ${why}`);
  test.skip();
}

export function run(line: NodeLine, program: string, args: readonly string[] = []): Promise<Ending> {
  const file = resolve(root, `build/tls/programs/${program}.mjs`);
  return launch(line.binary, [file, probe, ...args], { env: plainEnvironment(), timeout: 90_000 });
}

/** The lines of JSON that a program prints, which has to end well. */
export async function lines<T>(line: NodeLine, program: string, args: readonly string[] = []): Promise<T[]> {
  const { code, signal, stdout, stderr, timedOut } = await run(line, program, args);
  if (code !== 0)
    throw new Error(`${program} on ${line.version}: ${timedOut ? 'too slow' : (signal ?? code)}\n${stderr}`);
  return stdout
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text) as T);
}
