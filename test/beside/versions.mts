/**
 * What the suite tests, and in which versions: the table of docs/beside.md is written from this,
 *
 *   node build/beside/versions.mjs --write
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../support/nodes.mjs';

/** Installed for the suite alone, in these versions: together they are too heavy to be anybody's development dependency. */
export const installed = {
  '@opentelemetry/api': '1.9.1',
  '@opentelemetry/instrumentation': '0.223.0',
  '@opentelemetry/instrumentation-http': '0.223.0',
  '@opentelemetry/instrumentation-net': '0.67.0',
  '@opentelemetry/sdk-trace-base': '2.12.1',
  jest: '30.5.2',
  'ts-node': '10.9.2',
  tsx: '4.23.15',
  typescript: '5.9.3',
  vitest: '4.1.12',
} as const;

/** The agents of vendors, as heavy once more: installed likewise. */
export const agents = {
  '@sentry/node': '11.12.0',
  'dd-trace': '5.132.0',
  'elastic-apm-node': '4.18.0',
} as const;

/** What each is tested for; compared with plain Node, always. */
const tested: Record<string, string> = {
  'require-in-the-middle':
    'hooks on net, http, https, tls, dgram, child_process, timers: the same modules and calls, in either order of preloads',
  'import-in-the-middle':
    'the same in ES modules, default and named imports, tsloop by `-r` and `--import`, in either order',
  '@opentelemetry/instrumentation-http': 'as many spans of each kind and outcome, in either order of preloads',
  '@opentelemetry/instrumentation-net': 'the same',
  '@sentry/node': 'against a collector of our own: as many spans, in either order of preloads',
  'dd-trace': 'against an agent of our own: as many traces, in either order of preloads',
  'elastic-apm-node': 'against a server of our own: as many transactions and spans, in either order of preloads',
  '@opentelemetry/sdk-metrics': 'exports the instruments of `tsloop/metrics`',
  'prom-client': 'default metrics by name and open resources by kind; the registry of `tsloop/metrics`',
  jest: 'in its process, in workers and in worker threads: sockets, and the state that its module registry sees',
  vitest: 'pools forks, threads, vmForks, vmThreads: the same',
  mocha: 'the same report; the specs of this project run by it',
  tsx: 'a TypeScript server',
  'ts-node': 'the same, with TypeScript 5',
  'why-is-node-running': 'the same handles, by the lines of the program',
  pino: 'a transport in a Worker writes every line',
  pm2: 'a cluster of two, messages, a reload under load, a stop (`npm test -- apps`)',
  nodemon: 'starts, restarts and ends a server (`npm test -- apps`)',
  '@sinonjs/fake-timers': 'faked clocks beside sockets (`npm test -- apps`)',
};

const PAGE = join(root, 'docs/beside.md');
const TABLE = /(<!-- beside: written by test\/beside\/versions\.mts -->\n)[\s\S]*?(<!-- end of beside -->)/;

function versionOf(name: string): string {
  const own = ({ ...installed, ...agents } as Readonly<Record<string, string>>)[name];
  if (own !== undefined) return own;
  return (JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')) as { version: string })
    .version;
}

/** The table as Markdown. */
export function table(): string {
  const rows = Object.entries(tested).map(([name, what]) => `| ${name} | ${versionOf(name)} | ${what} |`);
  return ['', '| tool | version | tested |', '|---|---|---|', ...rows, '', ''].join('\n');
}

/** What the page shows. */
export function shown(): string | null {
  const found = TABLE.exec(readFileSync(PAGE, 'utf8'));
  return found === null ? null : found[0].slice(found[1]?.length, -(found[2]?.length ?? 0));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href && process.argv.includes('--write')) {
  const page = readFileSync(PAGE, 'utf8');
  writeFileSync(
    PAGE,
    page.replace(TABLE, (_, head: string, foot: string) => head + table() + foot),
  );
}
