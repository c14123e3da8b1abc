/** Timers that test tools put in the place of ours: @sinonjs/fake-timers, which jest uses too, and a global patched by hand. */
import { createRequire } from 'node:module';
import { twin as bare, type TwinOptions } from '../support/twin.mjs';

type Body = Parameters<typeof bare>[2];

function twin(title: string, body: Body, env: Record<string, string> = {}): void {
  const options: TwinOptions = { traffic: false, drivers: ['inline'], env: { TSLOOP_ENABLE: 'timers', ...env } };
  bare(title, options, body);
}

const installed = createRequire(import.meta.url).resolve('@sinonjs/fake-timers');

describe('apps: fake timers', () => {
  for (const [order, env] of [
    ['by the program', {}],
    // What NODE_OPTIONS names is loaded before what the command line does.
    ['before tsloop', { NODE_OPTIONS: `-r ${installed}` }],
  ] as const) {
    twin(
      `@sinonjs/fake-timers, loaded ${order}: install, tick, restore`,
      async (t) => {
        const fake = t.require('@sinonjs/fake-timers');
        const timers = t.require('node:timers');
        const found = [setTimeout, setInterval, clearTimeout, setImmediate, timers.setTimeout, timers.setInterval];
        const same = (): boolean[] =>
          [setTimeout, setInterval, clearTimeout, setImmediate, timers.setTimeout, timers.setInterval].map(
            (one, at) => one === found[at],
          );
        const waited = t.lane('real');
        const real = setTimeout(() => waited('real'), 500);
        for (let round = 0; round < 2; round++) {
          const clock = fake.install();
          t.trace('installed', same());
          const start = Date.now();
          setTimeout(() => t.trace('hour', Date.now() - start), 3_600_000);
          const interval = setInterval(() => t.trace('interval', Date.now() - start), 1_000_000);
          const cleared = setTimeout(() => t.trace('never'), 5);
          clearTimeout(cleared);
          const again = timers.setTimeout((text: string) => t.trace('again', text), 2_000_000, 'argument');
          again.refresh();
          t.trace(again.hasRef(), again.unref().hasRef(), again.ref().hasRef(), clock.countTimers());
          clock.tick(3_600_000);
          await clock.tickAsync(1_000_000);
          clearInterval(interval);
          t.trace(clock.countTimers());
          clock.uninstall();
          t.trace('restored', same());
        }
        t.trace(real.hasRef());
        real.refresh();
        await new Promise<void>((fulfil) => setTimeout(fulfil, 600));
        t.trace('over');
      },
      env,
    );
  }

  twin('a clock that advances by itself, and one that takes setTimeout alone', async (t) => {
    const fake = t.require('@sinonjs/fake-timers');
    const clock = fake.install({ toFake: ['setTimeout'] });
    let fired = false;
    setTimeout(() => {
      fired = true;
    }, 50);
    // Not taken: this one is real.
    await new Promise<void>((fulfil) => {
      const interval = setInterval(() => {
        clearInterval(interval);
        fulfil();
      }, 5);
    });
    t.trace(fired);
    clock.runAll();
    t.trace(fired);
    clock.uninstall();
    const advancing = fake.install({ shouldAdvanceTime: true, advanceTimeDelta: 1 });
    await new Promise<void>((fulfil) => setTimeout(fulfil, 10));
    t.trace(advancing.now >= 10);
    advancing.uninstall();
  });

  twin('a real timer that is cleared while a clock is installed, and a fake one after it is gone', async (t) => {
    const fake = t.require('@sinonjs/fake-timers');
    const { clearTimeout: realClear, setTimeout: realSet } = globalThis;
    const real = realSet(() => t.trace('never'), 20);
    const clock = fake.install();
    realClear(real);
    const left = setTimeout(() => t.trace('never'), 20);
    clock.uninstall();
    t.trace(typeof left, left === real);
    await new Promise<void>((fulfil) => setTimeout(fulfil, 60));
  });

  twin(
    'functions patched as jest and zone libraries do: wrapped, called through, put back in both orders',
    async (t) => {
      const timers = t.require('node:timers');
      const kept = { global: globalThis.setTimeout, module: timers.setTimeout };
      const wrap = (name: string, inner: typeof setTimeout): typeof setTimeout =>
        ((callback: (...args: unknown[]) => void, ...rest: unknown[]) =>
          Reflect.apply(inner, undefined, [
            (...args: unknown[]) => {
              t.trace(name, args);
              callback(...args);
            },
            ...rest,
          ])) as never;
      globalThis.setTimeout = wrap('outer', wrap('inner', kept.global));
      timers.setTimeout = wrap('module', kept.module);
      await new Promise<void>((fulfil) => setTimeout(fulfil as (...args: unknown[]) => void, 5, 1, 'two'));
      await new Promise<void>((fulfil) => timers.setTimeout(fulfil, 5));
      globalThis.setTimeout = kept.global;
      await new Promise<void>((fulfil) => timers.setTimeout(fulfil, 5));
      timers.setTimeout = kept.module;
      t.trace(globalThis.setTimeout === timers.setTimeout);
      await new Promise<void>((fulfil) => setTimeout(fulfil, 5));
    },
  );
});
