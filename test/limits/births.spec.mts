/** A thread whose environment cannot be born, as the kernel lets nobody watch the reactor: Node's own handles, and all is as on plain Node. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { drivers, nodes } from '../support/nodes.mjs';
import { EXCHANGE, programFile, registerCjs, start } from '../support/programs.mjs';

/** Takes the place of the C library's: no readiness set is watched by another one. */
const SHIM = `
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

int epoll_ctl(int set, int operation, int fd, struct epoll_event *event) {
  char link[32], name[64] = "";
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  if (operation == EPOLL_CTL_ADD && readlink(link, name, sizeof name - 1) > 0 && strstr(name, "[eventpoll]")) {
    errno = ENOSPC;
    return -1;
  }
  return syscall(SYS_epoll_ctl, set, operation, fd, event);
}
`;

const inWorker = (source: string): string => `
const { Worker, isMainThread } = require('node:worker_threads');
if (isMainThread) new Worker(__filename).on('exit', (code) => console.log('exit', code));
else { ${source} }`;

const PROGRAMS: Record<string, string> = {
  'the main thread': EXCHANGE,
  'the main thread, which exits at once': `require('node:net').createServer().listen(0, () => { console.log('listening'); process.exit(3); });`,
  'a Worker': inWorker(EXCHANGE),
  'a Worker that exits at once': inWorker(
    `require('node:net').createServer().listen(0, () => { console.log('listening'); process.exit(3); });`,
  ),
  'a Worker that is terminated': `
const { Worker } = require('node:worker_threads');
const source = "require('node:net').createServer().listen(0, () => require('node:worker_threads').parentPort.postMessage('listening'))";
const worker = new Worker(source, { eval: true });
worker.on('message', (text) => { console.log(text); worker.terminate().then((code) => console.log('terminated', code)); });`,
};

describe('limits: no birth', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'tsloop-births-'));
  const library = join(scratch, 'shim.so');

  before(function () {
    writeFileSync(join(scratch, 'shim.c'), SHIM);
    const compiled = spawnSync('cc', ['-shared', '-fPIC', '-o', library, join(scratch, 'shim.c')], {
      encoding: 'utf8',
    });
    if (compiled.status !== 0) {
      console.log(`      no C compiler, so nothing is tested here: ${compiled.error?.message ?? compiled.stderr}`);
      this.skip();
    }
  });

  after(() => rmSync(scratch, { recursive: true, force: true }));

  for (const line of nodes) {
    for (const driver of drivers.filter((one) => one !== 'plain')) {
      for (const [name, source] of Object.entries(PROGRAMS)) {
        it(`${name}: Node's own handles, and an end as ever (Node ${line.version}, ${driver})`, async () => {
          const file = programFile(source);
          const plain = await start(line, [file]);
          const env = { TSLOOP_DRIVER: driver, LD_PRELOAD: library };
          const ours = await start(line, ['-r', registerCjs, file], { env, timeout: 20_000 });
          expect(ours.timedOut, ours.stderr).to.equal(false);
          expect([ours.stdout, ours.code, ours.signal]).to.deep.equal([plain.stdout, plain.code, plain.signal]);
          expect(ours.stderr, 'whoever runs out of something has its own words for it').to.equal(plain.stderr);
          expect(ours.evidence.every((one) => one.connections === 0)).to.equal(true);
        });
      }
    }
  }
});
