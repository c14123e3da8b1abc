/** Unmodified store clients against real servers: ioredis with redis-server, pg with PostgreSQL. */
import { postgres, redis, type Service } from '../support/service.mjs';
import { twin } from '../support/twin.mjs';

interface Place {
  readonly port: number;
  readonly socket: string;
}

describe('apps: ioredis against redis-server', function () {
  this.timeout(120_000);
  let service: Service | null = null;
  before(async function () {
    service = await redis();
    if (service === null) {
      console.log('    redis-server is not installed: these specs are skipped');
      this.skip();
    }
  });
  after(() => service?.stop());
  const options = { timeout: 30_000, given: () => ({ port: service?.port, socket: service?.socket }) };

  for (const way of ['tcp', 'path'] as const) {
    twin(
      `commands, pipelines, transactions, subscriptions over ${way}`,
      { ...options, given: () => ({ way, port: service?.port, socket: service?.socket }) },
      async (t, given: Place & { way: string }) => {
        const Redis = t.require('ioredis');
        t.port(given.port);
        const open = (): InstanceType<typeof Redis> =>
          given.way === 'tcp' ? new Redis(given.port, '127.0.0.1') : new Redis(given.socket);
        const client = open();
        const key = (name: string): string => `${process.pid}:${name}`;
        t.trace(await client.set(key('a'), 'x'.repeat(100_000)), (await client.get(key('a'))).length);
        t.trace(await client.get(key('none')), await client.incrby(key('n'), 5));
        const pipeline = client.pipeline();
        for (let index = 0; index < 500; index++) pipeline.rpush(key('list'), `${index}`);
        const results = await pipeline.exec();
        t.trace(
          results.length,
          results.every(([error]: [unknown]) => error === null),
          (await client.lrange(key('list'), 0, -1)).join().length,
        );
        t.trace(
          (await client.multi().set(key('m'), '1').incr(key('m')).exec()).map(([, value]: [unknown, unknown]) => value),
        );
        await client.call('NOSUCH').catch((error: Error) => t.trace(error.message.split(',')[0]));
        const subscriber = open();
        await subscriber.subscribe(key('news'));
        const heard: string[] = [];
        const all = new Promise<void>((done) => {
          subscriber.on('message', (_channel: string, text: string) => {
            heard.push(text);
            if (heard.length === 100) done();
          });
        });
        for (let index = 0; index < 100; index++) void client.publish(key('news'), `m${index}`);
        await all;
        t.trace(heard.join() === Array.from({ length: 100 }, (_, index) => `m${index}`).join());
        const concurrent = await Promise.all(Array.from({ length: 300 }, (_, index) => client.echo(`e${index}`)));
        t.trace(concurrent.every((text, index) => text === `e${index}`));
        t.trace(await client.del(key('a'), key('n'), key('list'), key('m')));
        t.trace(await subscriber.quit(), await client.quit());
      },
    );
  }

  twin('a connection killed by the server is made again', options, async (t, given: Place) => {
    const Redis = t.require('ioredis');
    const client = new Redis(given.port, '127.0.0.1', { retryStrategy: () => 20 });
    const events: string[] = [];
    for (const name of ['connect', 'ready', 'close', 'reconnecting', 'end']) client.on(name, () => events.push(name));
    await client.ping();
    const id = await client.client('ID');
    const other = new Redis(given.port, '127.0.0.1');
    const again = t.once(client, 'ready');
    await other.client('KILL', 'ID', id);
    await again;
    t.trace(await client.ping(), events);
    const ended = t.once(client, 'end').catch(() => {});
    client.disconnect();
    other.disconnect();
    await ended;
    t.trace(events);
  });
});

describe('apps: pg against PostgreSQL', function () {
  this.timeout(120_000);
  let service: Service | null = null;
  before(async function () {
    service = await postgres();
    if (service === null) {
      console.log('    PostgreSQL is not installed: these specs are skipped');
      this.skip();
    }
  });
  after(() => service?.stop());
  for (const way of ['tcp', 'path'] as const) {
    twin(
      `queries, parameters, transactions, errors, notifications, a pool over ${way}`,
      { timeout: 30_000, given: () => ({ way, port: service?.port, socket: service?.socket }) },
      async (t, given: Place & { way: string }) => {
        const { Client, Pool } = t.require('pg');
        const settings = {
          host: given.way === 'tcp' ? '127.0.0.1' : given.socket,
          port: given.port,
          user: 'probe',
          database: 'postgres',
        };
        const client = new Client(settings);
        await client.connect();
        t.trace((await client.query('select 1 + 1 as two, $1::text as text', ['é€'])).rows);
        await client.query('create temporary table t (id int primary key, body text)');
        await client.query('begin');
        for (let index = 0; index < 200; index++)
          await client.query('insert into t values ($1, $2)', [index, 'b'.repeat(index * 10)]);
        await client.query('commit');
        t.trace((await client.query('select count(*)::int as n, sum(length(body))::int as bytes from t')).rows);
        await client
          .query('insert into t values (1, $1)', ['again'])
          .catch((error: Error & { code: string }) => t.trace(error.code, error.message));
        const big = await client.query(`select repeat('x', 3000000) as big`);
        t.trace(big.rows[0].big.length);
        const listener = new Client(settings);
        await listener.connect();
        await listener.query(`listen news_${process.pid}`);
        const heard = t.once(listener, 'notification');
        await client.query(`notify news_${process.pid}, 'hello'`);
        t.trace((await heard)[0].payload);
        const pool = new Pool({ ...settings, max: 5 });
        const sums = await Promise.all(
          Array.from({ length: 100 }, (_, index) =>
            pool
              .query('select $1::int * 2 as twice', [index])
              .then((result: { rows: { twice: number }[] }) => result.rows[0]?.twice),
          ),
        );
        t.trace(
          sums.every((value, index) => value === index * 2),
          pool.totalCount,
        );
        await pool.end();
        const doomed = new Client(settings);
        await doomed.connect();
        doomed.on('error', (error: Error & { code: string }) => t.lane('doomed')(error.code ?? error.message));
        const { rows } = await doomed.query('select pg_backend_pid() as pid');
        // Asked for first: the end may come before the answer to the query that caused it.
        const ended = t.once(doomed, 'end').catch(() => {});
        await client.query('select pg_terminate_backend($1)', [rows[0].pid]);
        await ended;
        await listener.end();
        await client.end();
      },
    );
  }
});
