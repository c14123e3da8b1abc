/** A registry of npm's for the packed packages, on this machine: what `npm install` meets once they are published. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly optionalDependencies?: Record<string, string>;
  readonly [field: string]: unknown;
}

export async function serveRegistry(folder: string): Promise<{ readonly address: string; close(): void }> {
  const documents = new Map<string, unknown>();
  const tarballs = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '').slice(1);
    if (tarballs.includes(path)) response.end(readFileSync(join(folder, path)));
    else if (documents.has(path)) response.end(JSON.stringify(documents.get(path)));
    else response.writeHead(404).end('{}');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const publish = (manifest: Manifest, dist: object) =>
    documents.set(manifest.name, {
      name: manifest.name,
      'dist-tags': { latest: manifest.version },
      versions: { [manifest.version]: { ...manifest, dist } },
    });
  for (const name of tarballs) {
    const file = join(folder, name);
    const manifest = JSON.parse(execFileSync('tar', ['-xOzf', file, 'package/package.json'], { encoding: 'utf8' }));
    const integrity = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;
    publish(manifest, { tarball: address + name, integrity });
    for (const [other, version] of Object.entries((manifest as Manifest).optionalDependencies ?? {})) {
      if (documents.has(other)) continue;
      // Not packed in this run: npm is told what it is for, and has no reason to ask for more.
      const [os, cpu, libc] = other.replace('@tsloop/', '').split('-') as [string, string, string];
      const machine = { os: [os], cpu: [cpu], libc: [libc === 'musl' ? 'musl' : 'glibc'] };
      publish({ name: other, version, ...machine }, { tarball: `${address}absent.tgz`, integrity: 'sha512-' });
    }
  }
  return { address, close: () => server.close() };
}
