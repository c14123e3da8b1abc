/** A folder of its own with tools that are too heavy to be anybody's development dependency. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plainEnvironment, root } from '../support/nodes.mjs';

/** Most milliseconds for installing: half of that is needed where the machine is busy. */
export const INSTALL_MS = 200_000;

/** Installs packages in these versions, and this checkout as `tsloop`; null, and a sentence, where that cannot be done. */
export function install(dependencies: Readonly<Record<string, string>>): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'tsloop-beside-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }));
  try {
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'], {
      cwd: folder,
      env: plainEnvironment(),
      stdio: 'ignore',
      timeout: INSTALL_MS,
    });
  } catch (error) {
    console.log(
      `${Object.keys(dependencies).join(', ')}: cannot be installed here, not tried (${(error as Error).message})`,
    );
    return null;
  }
  symlinkSync(root, join(folder, 'node_modules/tsloop'));
  return folder;
}
