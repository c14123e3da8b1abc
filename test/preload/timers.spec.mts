/** The optional part: on where it is asked for, off everywhere else, and what it promises beyond Node. */
import { expect } from 'chai';
import { nodes } from '../support/nodes.mjs';
import { programFile, registerCjs, registerMjs, start } from '../support/programs.mjs';

/** Prints whether the functions are Node's, and what the wheel counted. */
const REPORT = `
const late = [];
const set = (after) => {
  const from = performance.now();
  setTimeout(() => late.push(performance.now() - from - after), after);
};
for (let after = 1; after <= 40; after++) set(after);
setTimeout(() => {
  const { timers } = process.env.PROBE_ENTRY ? require(process.env.PROBE_ENTRY).stats() : {};
  console.log(JSON.stringify({ reached: timers.reached > 0, moved: timers.moved > 0, early: late.filter((by) => by < 0).length, ran: late.length }));
}, 700);
`;

for (const line of nodes) {
  describe(`preload: timers [${line.version}]`, () => {
    const report = async (env: Record<string, string>): Promise<unknown> => {
      const { stdout, stderr } = await start(line, ['-r', registerCjs, programFile(REPORT)], { env });
      expect(stderr).to.equal('');
      return JSON.parse(stdout);
    };

    it('run on the wheel where they are asked for, none early', async () => {
      const found = await report({ TSLOOP_ENABLE: 'timers', TSLOOP_STRICT: '1' });
      expect(found).to.deep.equal({ reached: true, moved: true, early: 0, ran: 40 });
    });

    it('run without the other parts', async () => {
      expect(await report({ TSLOOP_ENABLE: 'timers', TSLOOP_DISABLE: 'net' })).to.include({ reached: true, early: 0 });
    });

    it("are Node's by default, and where they are switched off", async () => {
      for (const env of [{}, { TSLOOP_ENABLE: 'timers', TSLOOP_DISABLE: 'timers' }, { TSLOOP: 'off' }]) {
        expect(await report(env as Record<string, string>)).to.include({ reached: false, moved: false, ran: 40 });
      }
    });

    it('are the same in every view, by --require and --import, and are put back by uninstall()', async () => {
      const source = `
        import view, { setTimeout as named } from 'node:timers';
        import { createRequire } from 'node:module';
        const require = createRequire(import.meta.url);
        const ours = globalThis.setTimeout;
        const same = [named, view.setTimeout, require('timers').setTimeout].every((found) => found === ours);
        const tsloop = require(process.env.PROBE_ENTRY);
        const waiting = setTimeout(() => console.log('waited'), 5);
        tsloop.uninstall();
        const back = globalThis.setTimeout !== ours && globalThis.setTimeout === view.setTimeout;
        tsloop.install();
        console.log(same, back, globalThis.setTimeout === ours, view.setTimeout === ours);
      `;
      for (const hook of [
        ['-r', registerCjs],
        ['--import', registerMjs],
      ]) {
        const program = programFile('', 'program.mjs');
        const { writeFileSync } = await import('node:fs');
        writeFileSync(program, source);
        const { stdout, stderr } = await start(line, [...hook, program], { env: { TSLOOP_ENABLE: 'timers' } });
        expect(stderr).to.equal('');
        expect(stdout).to.equal('true true true true\nwaited\n');
      }
    });

    it('run beneath --watch, before and after a change', async () => {
      const program = programFile(`
        const { appendFileSync, existsSync, writeFileSync } = require('node:fs');
        const mark = __filename + '.mark';
        const again = existsSync(mark);
        setTimeout(() => {
          const { reached } = require(process.env.PROBE_ENTRY).stats().timers;
          console.log(again ? 'second' : 'first', reached > 0);
          if (again) return process.kill(process.ppid, 'SIGTERM');
          writeFileSync(mark, '');
          // The watcher may not watch yet, and waits for a pause between changes: changed until it ends this process.
          setInterval(() => appendFileSync(__filename, '\\n'), 1_000);
        }, 20);
      `);
      const { stdout } = await start(line, ['-r', registerCjs, '--watch', program], {
        env: { TSLOOP_ENABLE: 'timers', TSLOOP_STRICT: '1' },
      });
      expect(stdout.match(/(first|second) true/g)).to.deep.equal(['first true', 'second true']);
    });

    it('leave a function alone that somebody else has put there', async () => {
      const program = programFile(`
        const tsloop = require(process.env.PROBE_ENTRY);
        const theirs = () => 'theirs';
        globalThis.setTimeout = theirs;
        tsloop.uninstall();
        console.log(globalThis.setTimeout === theirs, require('timers').setInterval === setInterval);
      `);
      const { stdout } = await start(line, ['-r', registerCjs, program], { env: { TSLOOP_ENABLE: 'timers' } });
      expect(stdout).to.equal('true true\n');
    });

    it('run in time through clock reads of a busy program, many of one millisecond among them', async () => {
      const program = programFile(`
        let early = 0, ran = 0;
        for (let index = 0; index < 20000; index++) {
          const after = 1 + (index * 7919) % 300, from = performance.now();
          setTimeout(() => { ran++; if (performance.now() - from < after) early++; }, after);
        }
        process.on('exit', () => console.log(ran, early));
      `);
      const { stdout } = await start(line, ['-r', registerCjs, program], { env: { TSLOOP_ENABLE: 'timers' } });
      expect(stdout).to.equal('20000 0\n');
    });
  });
}
