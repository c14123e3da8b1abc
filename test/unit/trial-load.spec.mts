/** The built-in load of a trial: what it reads, what it compares, what it counts. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { excerpt, expectation, matches } from '../../dist/cli/trial/bodies.js';
import { HttpReader } from '../../dist/cli/trial/connections.js';
import { understand } from '../../dist/cli/trial/custom.js';
import { Histogram } from '../../dist/cli/trial/histogram.js';
import { type Plan, run } from '../../dist/cli/trial/load.js';
import { readOptions, UsageError } from '../../dist/cli/trial/options.js';
import { textOf } from '../../dist/cli/trial/requests.js';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** The answer when it came in pieces of that size, and how many pieces it took to be whole. */
function readIn(size: number, text: string, bodiless = false): { reader: HttpReader; whole: boolean } {
  const reader = new HttpReader(bodiless);
  const all = bytes(text);
  let whole = false;
  for (let at = 0; at < all.length; at += size) {
    expect(whole, 'whole before its end').to.equal(false);
    whole = reader.push(all.subarray(at, at + size));
  }
  return { reader, whole };
}

describe('trial: answers', () => {
  const sizes = [1, 2, 3, 7, 10_000];
  const cases = {
    'a length': ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', 200, 'hello', true],
    'no body': ['HTTP/1.1 204 No Content\r\n\r\n', 204, '', true],
    chunks: [
      'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n',
      201,
      'hello',
      true,
    ],
    'chunks with a trailer': [
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
      ...([200, 'hello', true] as const),
    ],
    'hints before it': [
      'HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx',
      404,
      'x',
      true,
    ],
    'a last answer': ['HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok', 200, 'ok', false],
  } as const;
  for (const [name, [text, status, body, reusable]] of Object.entries(cases))
    it(`are read whatever they are cut into: ${name}`, () => {
      for (const size of sizes) {
        const { reader, whole } = readIn(size, text);
        expect(whole, `in pieces of ${size}`).to.equal(true);
        expect([reader.status, reader.body.toString(), reader.reusable]).to.deep.equal([status, body, reusable]);
      }
    });

  it('to HEAD have no body, however long they say it is', () => {
    const { reader, whole } = readIn(1, 'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n', true);
    expect([whole, reader.status, reader.body.length]).to.deep.equal([true, 200, 0]);
  });

  it('without a length end with the connection', () => {
    const { reader, whole } = readIn(4, 'HTTP/1.0 200 OK\r\n\r\nuntil the end');
    expect(whole).to.equal(false);
    expect(reader.end()).to.equal(true);
    expect(reader.body.toString()).to.equal('until the end');
  });

  it('that are cut short are not whole', () => {
    const { reader, whole } = readIn(9, 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort');
    expect([whole, reader.end()]).to.deep.equal([false, false]);
  });

  const answer = (text: string, status = 200) => ({ status, body: bytes(text) });

  it('are compared byte by byte where plain Node always says the same', () => {
    const wanted = expectation([answer('one 1'), answer('one 1')]);
    expect(wanted?.strictness).to.equal('exact');
    expect(wanted && matches(200, bytes('one 1'), wanted)).to.equal(true);
    expect(wanted && matches(200, bytes('one 2'), wanted)).to.equal(false);
    expect(wanted && matches(500, bytes('one 1'), wanted)).to.equal(false);
  });

  it('are compared without what varies on plain Node', () => {
    const wanted = expectation([answer('{"id":"deadbeef01","at":17}'), answer('{"id":"0123456789","at":4}')]);
    expect(wanted?.strictness).to.equal('shape');
    expect(wanted && matches(200, bytes('{"id":"99999999ff","at":123456}'), wanted)).to.equal(true);
    expect(wanted && matches(200, bytes('{"id":"99999999ff","to":123456}'), wanted)).to.equal(false);
  });

  it('of which nothing is steady are compared by their status', () => {
    const wanted = expectation([answer('red'), answer('green', 404)]);
    expect(wanted).to.deep.include({ strictness: 'status', statuses: [200, 404] });
    expect(wanted && matches(404, bytes('blue'), wanted)).to.equal(true);
    expect(wanted && matches(500, bytes('red'), wanted)).to.equal(false);
  });

  it('that are wrong are shown around the place', () => {
    const long = `${'x'.repeat(500)}right${'x'.repeat(500)}`;
    expect(excerpt(bytes(long.replace('right', 'wrong')), bytes(long))).to.match(/^…x+wrongx+… \(1005 bytes\)$/);
    expect(excerpt(bytes('short'))).to.equal('short (5 bytes)');
  });
});

describe('trial: latencies', () => {
  it('are known to a hundredth, and merge', () => {
    const one = new Histogram();
    const other = new Histogram();
    for (let micros = 1; micros <= 10_000; micros += 1) (micros % 2 === 0 ? one : other).record(micros);
    const both = Histogram.of(one.buckets(), other.buckets());
    expect(both.total).to.equal(10_000);
    for (const part of [0.5, 0.9, 0.99, 0.999]) expect(both.quantile(part)).to.be.closeTo(10_000 * part, 100 * part);
    expect(new Histogram().quantile(0.5)).to.equal(null);
  });
});

describe('trial: load', () => {
  let server: Server;
  let plan: Plan;
  let pause = 0;
  let served = 0;

  beforeEach(async () => {
    served = 0;
    pause = 0;
    server = createServer((request, response) => {
      served += 1;
      setTimeout(() => response.end(`at ${request.url}`), pause);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const request = { method: 'GET', headers: [], body: '' };
    plan = {
      target: { protocol: 'http', secure: false, host: '127.0.0.1', port, path: null, asked: null },
      requests: [
        { ...request, path: '/a' },
        { ...request, path: '/b' },
      ],
      expected: [expectation([{ status: 200, body: bytes('at /a') }]), null],
      connections: 2,
      rate: null,
      lead: 0.05,
      seconds: 0.4,
    };
  });

  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const nothing = (): void => {};

  it('counts what is answered within its window, in turn, and finds no fault', async () => {
    let edges = 0;
    const tally = await run(
      plan,
      () => edges++,
      () => edges++,
    );
    expect(edges).to.equal(2);
    expect(tally.requests)
      .to.be.above(0)
      .and.below(served + 1);
    expect(tally.statuses).to.deep.equal({ 200: tally.requests });
    expect([tally.errors, tally.mismatches, tally.example]).to.deep.equal([0, 0, null]);
    expect(tally.latency.total).to.equal(tally.requests);
  });

  it('finds an answer that is not the expected one', async () => {
    const expected = [expectation([{ status: 200, body: bytes('at /x') }]), null];
    const tally = await run({ ...plan, expected }, nothing, nothing);
    expect(tally.mismatches)
      .to.be.above(0)
      .and.below(tally.requests + 1);
    expect(tally.example?.request).to.equal(0);
    expect(Buffer.from(tally.example?.received.body ?? []).toString()).to.equal('at /a');
  });

  it('counts latency from when a request was due: who is slower than the rate is not waited for', async () => {
    pause = 100;
    // One in a tenth of a second is what one connection can; five are asked for.
    const tally = await run({ ...plan, connections: 1, rate: 50, seconds: 0.6 }, nothing, nothing);
    expect(tally.latency.quantile(0.9)).to.be.above(200_000);
    // Whoever waited to the end is counted as well, if not as answered.
    expect(tally.latency.total).to.be.above(tally.requests);
  });

  it('says what broke', async () => {
    server.removeAllListeners('request').on('request', (request) => request.socket.destroy());
    const tally = await run(plan, nothing, nothing);
    expect(tally.requests).to.equal(0);
    expect(tally.errors).to.be.above(0);
    expect(tally.error).to.be.a('string');
  });
});

describe('trial: command line', () => {
  const options = (words: string) => readOptions(`${words} -- node server.js`.trim().split(' '));

  it('has a use without any option', () => {
    const found = options('');
    expect(found).to.deep.include({ command: ['node', 'server.js'], load: null, rate: null, pairs: null, time: 300 });
    expect(found.requests).to.deep.equal([{ method: 'GET', path: '/', headers: [], body: '' }]);
  });

  it('leaves what is behind the dashes to the program', () => {
    expect(readOptions(['--pairs', '4', '--', 'node', 'x.js', '--pairs', '9', '--'])).to.deep.include({
      pairs: 4,
      command: ['node', 'x.js', '--pairs', '9', '--'],
    });
  });

  it('takes paths and addresses', () => {
    expect(options('--url /a?b=1 --url http://localhost:81/c')).to.deep.include({
      wanted: { protocol: null, port: 81 },
    });
    expect(options('--url /a?b=1').requests[0]?.path).to.equal('/a?b=1');
    expect(options('--url wss://localhost:9000').wanted).to.deep.equal({ protocol: 'ws', port: 9000 });
    expect(options('--url tcp://localhost:7').requests[0]?.body).to.not.equal('');
  });

  it('names what it does not understand', () => {
    for (const [words, said] of [
      ['--pairs many', '--pairs'],
      ['--rate 0', '--rate'],
      ['--url ftp://x/', 'ftp'],
      ['--header nothing', '--header'],
      ['--load x --url /', '--load'],
      ['--generator wrk', '--generator'],
      ['--har /nowhere.har', '--har'],
      ['--html /nowhere/page.html', '--html'],
      ['--nonsense', 'nonsense'],
    ] as const)
      expect(() => options(words), words).to.throw(UsageError, said);
    expect(() => readOptions([])).to.throw(UsageError, 'program');
    expect(() => readOptions(['server.js'])).to.throw(UsageError);
  });

  it('reads a recording without what belongs to its connection', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tsloop-har-'));
    try {
      const file = join(folder, 'a.har');
      const headers = [
        { name: 'Host', value: 'example.org' },
        { name: ':method', value: 'POST' },
        { name: 'Accept-Encoding', value: 'gzip' },
        { name: 'X-Own', value: 'kept' },
      ];
      const request = { method: 'POST', url: 'https://example.org/x?y=1', headers, postData: { text: 'é' } };
      writeFileSync(file, JSON.stringify({ log: { entries: [{ request }] } }));
      const [found] = options(`--har ${file}`).requests;
      expect(found).to.deep.equal({ method: 'POST', path: '/x?y=1', headers: [['X-Own', 'kept']], body: 'é' });
      expect(found && textOf(found, 'h').toString()).to.equal(
        'POST /x?y=1 HTTP/1.1\r\nHost: h\r\nX-Own: kept\r\nContent-Length: 2\r\n\r\né',
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('leaves the name of the host to whoever gives one', () => {
    const request = options('--header Host:shop.test').requests[0];
    expect(request && textOf(request, '127.0.0.1:1').toString()).to.equal('GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n');
  });

  it('understands what a load says of itself', () => {
    expect(understand('hello\n{"requests":5,"p50":120.5,"errors":0}\n')).to.deep.include({ requests: 5, p50: 120.5 });
    const cannon = { requests: { total: 7 }, latency: { p50: 0, p99: 40 }, errors: 1, '2xx': 6, non2xx: 1 };
    // Whole milliseconds: a median of "0" is no figure.
    expect(understand(JSON.stringify(cannon))).to.deep.include({ requests: 7, errors: 1, p50: null, p99: 40_000 });
    expect(understand('done, 5 requests')).to.equal(null);
    expect(understand('')).to.equal(null);
  });
});
