/** setTimeout and setInterval on the wheel: order, life, context, errors, and all that a Timeout shows. */
import { twin as bare, type TwinOptions } from '../support/twin.mjs';

type Body = Parameters<typeof bare>[2];

/** The part is optional, needs no driver, and most bodies open no socket. */
function twin(title: string, body: Body, options: TwinOptions = {}): void {
  const env = { TSLOOP_ENABLE: 'timers', ...options.env };
  bare(title, { traffic: false, drivers: ['inline'], ...options, env }, body);
}

describe('parity: timers', () => {
  twin('order: ticks, microtasks, equals, nesting, clearing and refreshing from callbacks', async (t) => {
    // Far enough apart for a machine that stops between two of these lines.
    const done = new Promise<void>((fulfil) => setTimeout(fulfil, 480));
    const name = (text: string) => () => {
      t.trace(text);
      process.nextTick(() => t.trace(`${text} tick`));
      queueMicrotask(() => t.trace(`${text} microtask`));
    };
    setTimeout(name('160'), 160);
    setTimeout(name('80 a'), 80);
    setTimeout(name('80 b') as (unused: string) => void, 80, 'unused');
    setTimeout((...given: unknown[]) => t.trace('given', given), 120, 1, 'two', null, undefined, 5);
    const cleared = setTimeout(name('never'), 200);
    const refreshed = setTimeout(name('refreshed'), 240);
    setTimeout(() => {
      clearTimeout(cleared);
      refreshed.refresh();
      setTimeout(name('nested'), 80);
      setImmediate(() => t.trace('immediate'));
    }, 180);
    await done;
  });

  twin('an immediate set in an I/O callback runs before a timer set there', async (t) => {
    for (let round = 0; round < 20; round++) {
      await new Promise<void>((fulfil) => {
        t.fs.stat(t.dir, () => {
          setTimeout(() => {
            t.trace('timer');
            fulfil();
          }, 0);
          setImmediate(() => t.trace('immediate'));
          process.nextTick(() => t.trace('tick'));
        });
      });
    }
  });

  twin('order against the timers of timers/promises, scheduler and AbortSignal', async (t) => {
    const promises: typeof import('node:timers/promises') = t.require('node:timers/promises');
    const waits = [
      promises.setTimeout(80).then(() => t.trace('promise 80')),
      new Promise<void>((fulfil) => setTimeout(fulfil, 160)).then(() => t.trace('timer 160')),
      promises.scheduler.wait(240).then(() => t.trace('wait 240')),
      new Promise<void>((fulfil) => setTimeout(fulfil, 40)).then(() => t.trace('timer 40')),
      t
        .require('node:util')
        .promisify(setTimeout)(320, 'value')
        .then((value: string) => t.trace('promisified', value)),
      new Promise<void>((fulfil) => {
        AbortSignal.timeout(400).addEventListener('abort', () => fulfil());
        setTimeout(() => t.trace('timer 480'), 480);
      }).then(() => t.trace('signal 400')),
    ];
    // All of them late together: still in the order of their times.
    const until = Date.now() + 1_000;
    while (Date.now() < until);
    await Promise.all(waits);
    await t.sleep(20);
  });

  twin(
    'a loop that is late runs timers of one moment by their durations, far ones and refreshed ones among them',
    async (t) => {
      const names = [300, 5, 250, 1200, 100, 511, 200, 900];
      const waits = names.map(
        (after) => new Promise<void>((fulfil) => setTimeout(() => fulfil(t.trace(after)), after)),
      );
      const again = setTimeout(() => t.trace('refreshed 400'), 400);
      again.refresh();
      const until = Date.now() + 1_400;
      while (Date.now() < until);
      await Promise.all(waits);
    },
  );

  twin('intervals: order, clearing inside, arguments', async (t) => {
    let times = 0;
    await new Promise<void>((fulfil) => {
      const interval = setInterval(
        (text: string) => {
          t.trace(text, ++times);
          if (times < 5) return;
          clearInterval(interval);
          fulfil();
        },
        3,
        'interval',
      );
      t.trace(interval.hasRef(), Object.keys(interval));
    });
    await t.sleep(10);
  });

  twin('async hooks: one resource per timer, born, entered, left and destroyed as ever', async (t) => {
    const { createHook, executionAsyncId, executionAsyncResource, triggerAsyncId } = t.hooks;
    // By themselves: they are told in an immediate, before or behind a timer that is due by then.
    const destroyed = t.lane('destroyed');
    const numbers = new Map<number, number>();
    const known = (id: number): number | undefined => numbers.get(id);
    const log: unknown[] = [];
    const hook = createHook({
      init(id, type, trigger, resource) {
        if (type !== 'Timeout') return;
        numbers.set(id, numbers.size);
        log.push(['init', known(id), known(trigger) ?? 'other', resource.constructor.name]);
      },
      before: (id) => log.push(['before', known(id) ?? 'other']),
      after: (id) => log.push(['after', known(id) ?? 'other']),
      destroy: (id) => numbers.has(id) && destroyed(known(id)),
    }).enable();
    await new Promise<void>((fulfil) => {
      const first = setTimeout(() => {
        log.push(['in', known(executionAsyncId()), executionAsyncResource() === first, known(triggerAsyncId())]);
        setTimeout(fulfil, 10);
      }, 5);
      clearTimeout(setTimeout(() => {}, 5));
    });
    await t.turn();
    hook.disable();
    // Promises and immediates of the body come in between, under ids of their own.
    t.trace(log.filter((line) => !(line as unknown[]).includes('other') || (line as unknown[])[0] === 'init'));
  });

  twin('no timer of nobody is seen by async hooks', async (t) => {
    const born = new Set<number>();
    const strange: string[] = [];
    const start = t.hooks.executionAsyncId();
    const hook = t.hooks
      .createHook({
        init: (id) => born.add(id),
        before: (id) => id <= start || born.has(id) || strange.push('before'),
        after: (id) => id <= start || born.has(id) || strange.push('after'),
      })
      .enable();
    await new Promise<void>((fulfil) => {
      let left = 50;
      for (let after = 1; after <= 50; after++) setTimeout(() => --left === 0 && fulfil(), after);
    });
    hook.disable();
    t.trace(strange);
  });

  twin('AsyncLocalStorage follows a timer, a refresh and a clear', async (t) => {
    const storage = new t.hooks.AsyncLocalStorage<string>();
    await Promise.all(
      ['a', 'b'].map((store) =>
        storage.run(
          store,
          () =>
            new Promise<void>((fulfil) => {
              let again = true;
              const timer = setTimeout(() => {
                t.trace(store, storage.getStore());
                if (again) timer.refresh();
                else fulfil();
                again = false;
              }, 5);
            }),
        ),
      ),
    );
  });

  twin('a callback that throws: reported in its own context, the others run in their order', async (t) => {
    const storage = new t.hooks.AsyncLocalStorage<string>();
    // By themselves: whether two of them run in one turn depends on the millisecond in which each was set.
    const ticks = t.lane('ticks');
    process.on('uncaughtException', (error) => t.trace('caught', error.message, storage.getStore()));
    for (let number = 0; number < 4; number++) {
      storage.run(`store ${number}`, () =>
        setTimeout(() => {
          process.nextTick(() => ticks('tick', number));
          if (number % 2 === 0) throw new Error(`thrown ${number}`);
          t.trace('ran', number);
        }, 10),
      );
    }
    setTimeout(() => t.trace('later'), 14);
    await t.sleep(60);
  });

  twin(
    'an uncaught error ends the process as ever',
    () => {
      setTimeout(() => {
        throw new Error('not caught');
      }, 2);
    },
    { code: 1, ledger: false },
  );

  twin('what a Timeout shows, alive, cleared and fired', async (t) => {
    const util: typeof import('node:util') = t.require('node:util');
    const shape = (timer: NodeJS.Timeout): unknown[] => [
      util.inspect(timer).replace(/(_idleStart|Symbol\((?:asyncId|triggerId)\)\]?): \d+/g, '$1: N'),
      Reflect.ownKeys(timer).map(String),
      Object.prototype.toString.call(timer),
      timer.constructor.name,
      typeof timer[Symbol.toPrimitive](),
      timer.hasRef(),
    ];
    const timer = setTimeout((_: string) => {}, 7.9, 'argument');
    t.trace(shape(timer), timer.unref() === timer, timer.ref() === timer, timer.refresh() === timer);
    t.trace(shape(setTimeout(() => {}, 3)), shape(setInterval(() => {}, 9).unref()));
    clearTimeout(timer);
    t.trace(shape(timer), timer.close() === timer);
    const fired = setTimeout(() => t.trace('fired'), 1);
    await t.sleep(20);
    t.trace(shape(fired));
    const byNumber = setTimeout(() => t.trace('never'), 5);
    clearTimeout(+byNumber);
    const byText = setTimeout(() => t.trace('never'), 5);
    clearTimeout(`${+byText}`);
    const disposed = setTimeout(() => t.trace('never'), 5) as unknown as Record<symbol, (() => void) | undefined>;
    disposed[Symbol.dispose ?? Symbol.for('none')]?.();
    clearTimeout(disposed as never);
    for (const odd of [undefined, null, 0, -1, 'x', {}, NaN]) clearTimeout(odd as never);
    await t.sleep(15);
  });

  twin('the functions: names, lengths, descriptors, the views of timers', async (t) => {
    const timers = t.require('node:timers');
    const view = await import('node:timers');
    for (const name of ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval', 'setImmediate'] as const) {
      const found = globalThis[name] as unknown as Record<PropertyKey, unknown>;
      const { value: _, ...rest } = Object.getOwnPropertyDescriptor(globalThis, name) as PropertyDescriptor;
      t.trace(name, found.length, found.name, Reflect.ownKeys(found).map(String).sort(), rest);
      t.trace(found === timers[name], found === (view as never)[name], found === (view as never)['default'][name]);
    }
    t.trace(t.require('node:util').promisify(setTimeout) === t.require('node:timers/promises').setTimeout);
    for (const wrong of [undefined, null, 'code', {}]) {
      for (const set of [setTimeout, setInterval]) {
        try {
          set(wrong as never, 1);
        } catch (error) {
          t.trace((error as { code: string }).code, (error as Error).message);
        }
      }
    }
  });

  twin(
    'durations out of range warn as ever, and count as one millisecond',
    async (t) => {
      process.on('warning', ({ name, message }) => t.trace(name, message));
      const after = [2 ** 31, -1, NaN, Infinity, 'x', undefined, null, '3', 0, 9.5];
      t.trace(
        after
          .map((value) => setTimeout(() => t.trace(String(value)), value as never))
          .map((one) => (one as never)['_idleTimeout']),
      );
      await t.sleep(30);
    },
    { stderr: false },
  );

  twin('what keeps a process alive, and what does not', (t) => {
    const count = (): unknown => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    t.trace(count());
    setTimeout(() => t.trace('never'), 100_000).unref();
    setInterval(() => t.trace('never'), 100_000).unref();
    const timer = setTimeout(() => {
      t.trace('last', count());
    }, 20);
    t.trace(count(), timer.unref().hasRef(), count(), timer.ref().hasRef(), count());
    const cleared = setTimeout(() => t.trace('never'), 100_000);
    t.trace(count());
    clearTimeout(cleared);
    t.trace(count());
    process.on('exit', () => t.trace('exit', count()));
  });

  twin(
    'timers/enroll and its family, where they exist, on a timer of ours',
    async (t) => {
      const timers = t.require('node:timers');
      t.trace(typeof timers.enroll, typeof timers.active);
      if (timers.enroll === undefined) return;
      process.removeAllListeners('warning');
      const timer = setTimeout(() => t.trace('enrolled'), 100_000);
      timers.enroll(timer, 5);
      timers.active(timer);
      const own = { _onTimeout: () => t.trace('own') };
      timers.enroll(own, 10);
      timers.active(own);
      const gone = setTimeout(() => t.trace('never'), 5);
      timers.unenroll(gone);
      await t.sleep(40);
      t.trace(timer.hasRef());
      clearTimeout(timer);
    },
    { stderr: false },
  );

  twin(
    'time-outs of sockets and http, which lib/ sets for itself',
    async (t) => {
      const server = t.http.createServer((_, response) => setTimeout(() => response.end('late'), 30));
      server.setTimeout(5_000);
      server.keepAliveTimeout = 20;
      const port = await t.listen(server);
      for (const patience of [10, 1_000]) {
        await new Promise<void>((fulfil) => {
          const request = t.http.get({ port, host: '127.0.0.1', timeout: patience, agent: false }, (response) => {
            response.resume().on('end', () => t.trace('answer'));
          });
          request.on('timeout', () => {
            t.trace('timeout', patience);
            request.destroy();
          });
          request.on('error', (error) => t.trace((error as { code?: string }).code));
          request.on('close', () => fulfil());
        });
      }
      server.close();
      server.closeAllConnections();
    },
    { ledger: false },
  );

  twin(
    'mock timers of node:test, and functions that somebody else puts there',
    async (t) => {
      const { mock } = t.require('node:test');
      const before = [setTimeout, setInterval, t.require('node:timers').setTimeout];
      const real = setTimeout(() => t.trace('real'), 10);
      mock.timers.enable(
        t.require('node:process').versions.node.startsWith('20.') ? ['setTimeout'] : { apis: ['setTimeout'] },
      );
      setTimeout(() => t.trace('mocked'), 1_000_000);
      t.trace('ticking');
      mock.timers.tick(1_000_000);
      mock.timers.reset();
      t.trace([setTimeout, setInterval, t.require('node:timers').setTimeout].map((one, at) => one === before[at]));
      t.trace(real.hasRef());
      const kept = globalThis.setTimeout;
      globalThis.setTimeout = ((callback: () => void) => {
        t.trace('patched');
        callback();
      }) as never;
      setTimeout(() => t.trace('at once'), 1_000_000);
      globalThis.setTimeout = kept;
      await t.sleep(30);
    },
    { stderr: false },
  );

  twin('a Worker has timers of its own, and ends with them', async (t) => {
    const { Worker } = t.require('node:worker_threads');
    const source = `const { parentPort } = require('node:worker_threads');
      setTimeout(() => parentPort.postMessage('5'), 5); setTimeout(() => parentPort.postMessage('25'), 25);
      setTimeout(() => {}, 1e6).unref();`;
    const worker = new Worker(source, { eval: true });
    worker.on('message', (text: string) => t.trace(text));
    t.trace(await t.once(worker, 'exit'));
    const endless = new Worker('setInterval(() => {}, 5); setTimeout(() => {}, 1e6);', { eval: true });
    await t.once(endless, 'online');
    t.trace(await endless.terminate());
    t.trace(
      t
        .require('node:vm')
        .runInNewContext('set(done, 3); typeof setTimeout', { set: setTimeout, done: () => t.trace('vm') }),
    );
    await t.sleep(20);
  });
});
