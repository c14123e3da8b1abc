/** The metrics as observable instruments of OpenTelemetry. */

import { ArrayPrototypeForEach, ArrayPrototypeMap } from '../primordials';
import { type Metric, metrics, read } from './table';

/** What of OpenTelemetry's API is used. */
interface Options {
  readonly description: string;
  readonly unit: string;
}
interface Result<I> {
  observe(instrument: I, value: number, attributes: Record<string, string>): void;
}
export interface Meter<I = unknown> {
  createObservableCounter(name: string, options: Options): I;
  createObservableUpDownCounter(name: string, options: Options): I;
  createObservableGauge(name: string, options: Options): I;
  addBatchObservableCallback(callback: (result: Result<I>) => void, instruments: I[]): void;
  removeBatchObservableCallback(callback: (result: Result<I>) => void, instruments: I[]): void;
}

function instrument<I>(meter: Meter<I>, { name, help, unit, kind }: Metric): I {
  const options = { description: help, unit };
  if (kind === 'counter') return meter.createObservableCounter(name, options);
  return kind === 'level'
    ? meter.createObservableUpDownCounter(name, options)
    : meter.createObservableGauge(name, options);
}

/** Makes the instruments and answers the meter's collections with one reading each; the result takes that back. */
export function opentelemetry<I>(meter: Meter<I>): () => void {
  const instruments = ArrayPrototypeMap(metrics, (metric) => instrument(meter, metric));
  const observe = (result: Result<I>): void => {
    const reading = read();
    ArrayPrototypeForEach(metrics, (metric, index) => {
      ArrayPrototypeForEach(metric.points(reading), ({ labels, value }) => {
        result.observe(instruments[index] as I, value, { ...labels });
      });
    });
  };
  meter.addBatchObservableCallback(observe, instruments);
  return () => meter.removeBatchObservableCallback(observe, instruments);
}
