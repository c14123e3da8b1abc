/** The metrics as Prometheus reads them, in its text format 0.0.4, and as a registry of prom-client's. */

import { ArrayPrototypeForEach, ArrayPrototypeMap, ObjectKeys, StringPrototypeReplaceAll } from '../primordials';
import { type Metric, metrics, type Point, read } from './table';

/** What the answer to a scrape says of its text. */
export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Prometheus' words for the units of the table; what stands in braces is only a word. */
const units: Readonly<Record<string, string>> = { By: '_bytes', s: '_seconds' };

/** The name that OpenTelemetry's rules give a metric in Prometheus. */
export function nameOf({ name, unit, kind }: Pick<Metric, 'name' | 'unit' | 'kind'>): string {
  return `${StringPrototypeReplaceAll(name, '.', '_')}${units[unit] ?? ''}${kind === 'counter' ? '_total' : ''}`;
}

const typeOf = (metric: Metric): 'counter' | 'gauge' => (metric.kind === 'counter' ? 'counter' : 'gauge');

function escaped(text: string): string {
  const more = StringPrototypeReplaceAll(StringPrototypeReplaceAll(text, '\\', '\\\\'), '\n', '\\n');
  return StringPrototypeReplaceAll(more, '"', '\\"');
}

function line(name: string, { labels, value }: Point): string {
  let text = '';
  ArrayPrototypeForEach(ObjectKeys(labels), (label) => {
    text += `${text === '' ? '' : ','}${label}="${escaped(labels[label] as string)}"`;
  });
  return `${name}{${text}} ${value}\n`;
}

/** Everything, as the answer to a scrape. Metrics without a value are left out. */
export function prometheus(): string {
  const reading = read();
  let text = '';
  ArrayPrototypeForEach(metrics, (metric) => {
    const points = metric.points(reading);
    if (points.length === 0) return;
    const name = nameOf(metric);
    text += `# HELP ${name} ${metric.help}\n# TYPE ${name} ${typeOf(metric)}\n`;
    ArrayPrototypeForEach(points, (point) => {
      text += line(name, point);
    });
  });
  return text;
}

/** What of prom-client is used; its own types say more, and differ between its versions. */
interface Instrument {
  reset(): void;
  inc(labels: object, value: number): void;
}
interface Options {
  name: string;
  help: string;
  labelNames: string[];
  registers: unknown[];
  collect(this: Instrument): void;
}
interface Registry {
  getSingleMetric(name: string): unknown;
}
export interface PromClient {
  readonly register: Registry;
  readonly Counter: new (options: never) => unknown;
  readonly Gauge: new (options: never) => unknown;
}

/**
 * Puts the metrics into a registry of prom-client's, its default one unless another is given. Those whose name is there already
 * stay as they are, so it may be called twice.
 */
export function register(client: PromClient, registry: Registry = client.register): void {
  let shared: ReturnType<typeof read> | null = null;
  // prom-client asks each metric by itself, all of them in one turn: one reading serves them.
  const now = (): ReturnType<typeof read> => {
    if (shared === null) {
      shared = read();
      queueMicrotask(() => {
        shared = null;
      });
    }
    return shared;
  };
  ArrayPrototypeForEach(metrics, (metric) => {
    const name = nameOf(metric);
    if (registry.getSingleMetric(name) !== undefined) return;
    const options: Options = {
      name,
      help: metric.help,
      labelNames: ArrayPrototypeMap(metric.labels, (label) => label),
      registers: [registry],
      collect() {
        this.reset();
        ArrayPrototypeForEach(metric.points(now()), ({ labels, value }) => this.inc(labels, value));
      },
    };
    if (typeOf(metric) === 'counter') new client.Counter(options as never);
    else new client.Gauge(options as never);
  });
}
