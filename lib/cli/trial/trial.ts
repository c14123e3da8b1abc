/**
 * The course of a trial: rounds of fresh programs, each warmed up, then passes in which every program has one slice. A pass
 * goes through them in an order that is the one before in reverse, and each order has its turn, so that what drifts meets
 * all alike.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { findCannon, suits } from './cannon';
import { type Answers, collect, compare, describeWrong, type Look } from './compare';
import { Driver } from './driver';
import type { Plan } from './load';
import { type Slice, type Variant, variants } from './measures';
import type { Options } from './options';
import { endAll, Program, ProgramError } from './program';
import type { Expected, Target } from './requests';
import { builtInSlice, commandSlice, type Place } from './slice';
import { type Incidents, isSettled, type Judged, judgeAll, missing } from './verdict';

/** Every order of three, each followed by its reverse. */
const orders: readonly (readonly Variant[])[] = [
  ['plain', 'tsloop', 'null'],
  ['null', 'tsloop', 'plain'],
  ['tsloop', 'plain', 'null'],
  ['null', 'plain', 'tsloop'],
  ['plain', 'null', 'tsloop'],
  ['tsloop', 'null', 'plain'],
];

/** Rounds before anything is said to be settled: the luck of one set of processes is not the program's. */
const ROUNDS = 3;

/** Seconds of load before the window of a slice: connections are made, the driver finds back to its choice. */
const LEAD = 0.25;

/** Seconds that a program may take until it answers. */
const PATIENCE = 60;

/** Slices without any answer, one after the other, before a program counts as one that does not answer. */
const ATTEMPTS = 4;

/** Times that a warm-up is repeated at most, and the part of it that counts as all. */
const WARMING = 3;
const WARM = 0.8;

/** Seconds kept back of the time that was given, for the report. */
const RESERVE = 5;

export interface Progress {
  /** What is done now. */
  say(text: string): void;
  /** After each pass: pairs so far, and seconds that are left at most. */
  pairs(done: number, left: number): void;
}

export interface Course {
  readonly slices: readonly Slice[];
  readonly judged: readonly Judged[];
  readonly incidents: Incidents;
  readonly look: Look | null;
  readonly target: Target | null;
  /** Everything that the program listens on. */
  readonly places: readonly string[];
  readonly seconds: number;
  /** Who made the load. */
  readonly load: string;
  /** Requests a second that were asked for; null: as many as were answered. */
  readonly rate: number | null;
}

/** tsloop was not there: nothing was tried. */
export class InactiveError extends Error {}

export class Trial {
  readonly #options: Options;
  readonly #progress: Progress;
  readonly #folder = mkdtempSync(join(tmpdir(), 'tsl-'));
  readonly #driver = new Driver();
  readonly #running = new Map<Variant, Program>();
  readonly #slices: Slice[] = [];
  readonly #began = performance.now();
  #incidents: Incidents = { wrong: null, crashed: null, silent: { plain: 0, tsloop: 0, null: 0 } };
  #look: Look | null = null;
  #target: Target | null = null;
  #places: readonly string[] = [];
  #judged: Judged[] = [];
  #serial = 0;

  constructor(options: Options, progress: Progress) {
    this.#options = options;
    this.#progress = progress;
  }

  async run(): Promise<Course> {
    try {
      await this.#measure();
    } catch (error) {
      // Ended on tsloop, and on it only: a finding, not a failure of the trial.
      if (!(error instanceof ProgramError) || error.variant !== 'tsloop' || !this.#plainRuns()) throw error;
      this.#incidents = { ...this.#incidents, crashed: error.message };
    }
    this.#judged = judgeAll(this.#slices);
    const { load } = this.#options;
    return {
      slices: this.#slices,
      judged: this.#judged,
      incidents: this.#incidents,
      look: this.#look,
      target: this.#target,
      places: this.#places,
      seconds: this.#elapsed(),
      load: load === null ? describeLoad(this.#options, this.#target) : load,
      rate: this.#options.rate,
    };
  }

  /** Ends everything that was started. */
  async close(): Promise<void> {
    this.#driver.stop();
    await this.#stopAll();
    endAll();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #elapsed(): number {
    return (performance.now() - this.#began) / 1000;
  }

  /** Whether plain Node has shown, or shows now, that the program can do it. */
  #plainRuns(): boolean {
    const plain = this.#running.get('plain');
    return plain !== undefined ? !plain.ended : this.#look !== null || this.#slices.length > 0;
  }

  async #measure(): Promise<void> {
    const { pairs, restart, time } = this.#options;
    const each = restart ? 1 : orders.length;
    let took = 0;
    for (let round = 0; ; round += 1) {
      const began = this.#elapsed();
      await (restart ? this.#lookOneByOne(round) : this.#startRound(round));
      if (this.#incidents.wrong !== null) return;
      const starting = this.#elapsed() - began;
      for (let pass = 0; pass < each; pass += 1) {
        const done = this.#slices.length / variants.length;
        if (pairs !== null && done >= pairs) return;
        const from = this.#elapsed();
        await this.#pass(round, pass);
        took = this.#elapsed() - from;
        if (this.#incidents.wrong !== null) return;
        this.#tellProgress(took);
        // By the clock, whoever wants more pairs than fit.
        if (this.#elapsed() + took + RESERVE > time) return;
      }
      await this.#stopAll();
      this.#judged = judgeAll(this.#slices);
      const enough = this.#slices.length >= ROUNDS * orders.length * variants.length;
      if (pairs === null && enough && isSettled(this.#judged)) return;
      // A round that would not come to its first pair is not begun.
      if (this.#elapsed() + starting + took + RESERVE > time) return;
    }
  }

  #tellProgress(took: number): void {
    const { pairs, time } = this.#options;
    const done = this.#slices.length / variants.length;
    const least = ROUNDS * orders.length - done;
    const wanted = pairs === null ? Math.max(least, Math.min(1e6, missing(this.#judged))) : pairs - done;
    const most = time - this.#elapsed() - RESERVE;
    this.#progress.pairs(done, Math.max(0, Math.min(most, wanted * took * 1.3)));
  }

  /** Fresh programs, all three at once. */
  async #startRound(round: number): Promise<void> {
    this.#progress.say(round === 0 ? 'starting the program three times' : `round ${round + 1}: fresh programs`);
    for (const variant of variants) this.#running.set(variant, this.#create(variant));
    const started = await Promise.allSettled([...this.#running.values()].map((program) => this.#ready(program)));
    const [plain, ours, control] = started;
    const failed = [plain, control].find((one) => one?.status === 'rejected');
    if (failed?.status === 'rejected') {
      // Where one of them runs, whoever was first is in the others' way; else it is the program's own affair.
      const some = started.some(({ status }) => status === 'fulfilled');
      const hint = some ? '\nIf it cannot run three times at once, --restart runs one at a time.' : '';
      throw new ProgramError(`${failed.reason.message}${hint}`, 'plain');
    }
    if (ours?.status === 'rejected') throw ours.reason;
    await this.#insistOnTsloop();
    if (plain?.status === 'fulfilled') this.#target ??= plain.value;
    if (round === 0 && this.#options.load === null) {
      this.#progress.say('comparing answers');
      const { requests } = this.#options;
      const answers: Answers[] = [];
      for (const one of started)
        if (one.status === 'fulfilled') answers.push(await collect(this.#driver, requests, one.value));
      this.#compare(answers);
      if (this.#incidents.wrong !== null) return;
    }
    this.#progress.say('warming up');
    for (const program of this.#running.values()) await this.#warmUp(program);
  }

  /** Programs that cannot run beside each other are asked one after the other, before the first slice. */
  async #lookOneByOne(round: number): Promise<void> {
    if (round > 0 || this.#options.load !== null) return;
    this.#progress.say('comparing answers');
    const answers: Answers[] = [];
    for (const variant of variants) {
      const target = await this.#startAlone(variant);
      this.#target ??= target;
      answers.push(await collect(this.#driver, this.#options.requests, target));
      await this.#stopAll();
    }
    this.#compare(answers);
  }

  /** @param answers in the order of the variants */
  #compare([plain = [], ours = [], control = []]: readonly Answers[]): void {
    this.#look = compare(this.#options.requests, [plain, control], ours);
    this.#incidents = { ...this.#incidents, wrong: this.#look.wrong };
  }

  async #startAlone(variant: Variant): Promise<Target> {
    const program = this.#create(variant);
    this.#running.set(variant, program);
    const target = await this.#ready(program);
    if (variant === 'tsloop') await this.#insistOnTsloop();
    return target;
  }

  async #pass(round: number, pass: number): Promise<void> {
    const { restart } = this.#options;
    const order = orders[(restart ? round : pass) % orders.length] as readonly Variant[];
    for (const variant of order) {
      if (restart) {
        await this.#startAlone(variant);
        await this.#warmUp(this.#running.get(variant) as Program);
      }
      await this.#slice(this.#running.get(variant) as Program, round, pass);
      if (restart) await this.#stopAll();
    }
  }

  async #slice(program: Program, round: number, pass: number): Promise<void> {
    const { load, slice: seconds } = this.#options;
    const place = { variant: program.variant, round, pass, at: this.#elapsed() };
    if (load !== null) {
      this.#slices.push(await commandSlice(program, place, load));
      return;
    }
    const plan = this.#plan(program, LEAD, seconds);
    const { slice, example } = await this.#answeredSlice(program, place, plan);
    this.#slices.push(slice);
    // One is enough to look at. Plain Node's own are the business of the verdict, which counts both.
    const expected = example === null ? null : (plan.expected[example.request] ?? null);
    const request = example === null ? undefined : plan.requests[example.request];
    const steady = this.#slices.every(({ variant, mismatches }) => variant === 'tsloop' || mismatches === 0);
    if (program.variant === 'tsloop' && steady && example !== null && expected !== null && request !== undefined)
      this.#incidents = { ...this.#incidents, wrong: describeWrong(request, expected, example.received) };
    else if (!steady) this.#incidents = { ...this.#incidents, wrong: null };
  }

  /** A slice in which nothing was answered has no ratio: it is counted, and taken again. */
  async #answeredSlice(program: Program, place: Place, plan: Plan): ReturnType<typeof builtInSlice> {
    const { variant } = program;
    for (let attempt = 1; ; attempt += 1) {
      const found = await builtInSlice(program, place, this.#driver, plan, this.#cannonFrom());
      if (found.slice.requests > 0) return found;
      const { silent } = this.#incidents;
      this.#incidents = { ...this.#incidents, silent: { ...silent, [variant]: silent[variant] + 1 } };
      if (attempt < ATTEMPTS) continue;
      const reason = found.error ?? 'no answer came in time';
      throw new ProgramError(
        `no request was answered in ${ATTEMPTS} slices: ${reason}; a longer --slice may help`,
        variant,
      );
    }
  }

  /**
   * Load that does not count. On a machine that others use the time for it passes with little done: it goes on until the program
   * has had as much of a processor, or is idle because the load asks for no more.
   */
  async #warmUp(program: Program): Promise<void> {
    const { load, warmup } = this.#options;
    const place = { variant: program.variant, round: -1, pass: -1, at: 0 };
    if (load !== null) await commandSlice(program, place, load);
    if (load !== null || warmup === 0) return;
    let used = 0;
    for (let attempt = 0; attempt < WARMING; attempt += 1) {
      const plan = this.#plan(program, 0, warmup);
      const { slice } = await builtInSlice(program, place, this.#driver, plan, this.#cannonFrom());
      used += ((slice.figures.cpuProcess ?? 0) * slice.requests) / 1e6;
      if (used > warmup * WARM || (slice.elu ?? 0) < WARM) return;
    }
  }

  #plan(program: Program, lead: number, seconds: number): Plan {
    const { requests, connections, rate, wanted } = this.#options;
    const target = program.target(wanted);
    if (target === null) throw new ProgramError('the program does not listen any more', program.variant);
    const expected: readonly (Expected | null)[] = this.#look?.expected ?? requests.map(() => null);
    return { target, requests, expected, connections, rate, lead, seconds };
  }

  #cannonFrom(): string | null {
    return this.#options.autocannon ? process.cwd() : null;
  }

  #create(variant: Variant): Program {
    this.#serial += 1;
    return new Program(variant, join(this.#folder, `${variant}-${this.#serial}`), this.#options);
  }

  /** Waits until the program listens and, if a path or a text was given, says that it is ready. */
  async #ready(program: Program): Promise<Target> {
    const { ready, wanted } = this.#options;
    const deadline = Date.now() + PATIENCE * 1000;
    for (;;) {
      program.insist();
      const target = program.target(wanted);
      if (target !== null && (await this.#saysReady(program, target, ready))) {
        this.#places = program.places;
        return target;
      }
      if (Date.now() > deadline) {
        const what = target === null ? 'listens nowhere that the load could go to' : `did not become ready (${ready})`;
        throw new ProgramError(`the program ${what}, in ${PATIENCE} s; it said:\n${program.output}`, program.variant);
      }
      await pause(25);
    }
  }

  async #saysReady(program: Program, target: Target, ready: string | null): Promise<boolean> {
    if (ready === null) return true;
    if (!ready.startsWith('/')) return program.output.includes(ready);
    try {
      const request = { method: 'GET', path: ready, headers: [], body: '' };
      const own: Target = target.protocol === 'ws' ? { ...target, protocol: 'http' } : target;
      const { status } = await this.#driver.ask(own, request, 5);
      return status >= 200 && status < 400;
    } catch {
      return false;
    }
  }

  /** A trial of plain Node against plain Node would find nothing, and say so with great certainty. */
  async #insistOnTsloop(): Promise<void> {
    const program = this.#running.get('tsloop') as Program;
    const { listeners } = program;
    const answers = (await program.ask('open')).filter(({ pid }) => listeners.includes(pid));
    const idle = answers.find(({ tsloop }) => tsloop?.status.active !== true);
    if (idle !== undefined)
      throw new InactiveError(
        `tsloop is not active in the program (${idle.tsloop?.status.reason ?? 'it was not loaded'}): npx tsloop doctor says more`,
      );
  }

  async #stopAll(): Promise<void> {
    const all = [...this.#running.values()];
    this.#running.clear();
    await Promise.all(all.map((program) => program.stop()));
  }
}

function describeLoad({ autocannon, connections, rate }: Options, target: Target | null): string {
  const by = autocannon && target !== null && suits({ target, rate }) && findCannon(process.cwd()) !== null;
  const pace = rate === null ? 'as many requests as are answered' : `${rate} requests a second`;
  return `${by ? 'autocannon' : 'built in'}, ${connections} connections, ${pace}`;
}
