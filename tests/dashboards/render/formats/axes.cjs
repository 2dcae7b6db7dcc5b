// Prints the ends, marks and labels of value axes: uPlot's own code with the settings that Grafana's UPlotScaleBuilder
// and UPlotAxisBuilder give it.
Object.defineProperty(globalThis, 'navigator', { value: { language: 'en-US', languages: ['en-US'] }, configurable: true });
const fs = require('node:fs');
const data = require('@grafana/data');

// uPlot keeps its search for marks to itself, so its text is run with one line more.
const source = fs.readFileSync(require.resolve('uplot').replace(/uPlot\.\w+\.js$/, 'uPlot.cjs.js'), 'utf8');
const inner = {};
new Function('module', 'exports', 'require', `${source};Object.assign(module, { findIncr, numIncrs, numAxisSplits });`)(inner, {}, require);
const uPlot = inner.exports;
// Asked for by Grafana's functions, but a browser to the libraries if it were there earlier.
globalThis.window = {};

function range(values, config) {
  const { min: hardMin, max: hardMax, decimals } = config;
  const { axisSoftMin: softMin, axisSoftMax: softMax, axisCenteredZero } = config.custom ?? {};
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const hardMinOnly = softMin == null && hardMin != null;
  const hardMaxOnly = softMax == null && hardMax != null;
  if (axisCenteredZero) {
    high = Math.max(Math.abs(low), Math.abs(high));
    low = -high;
  }
  const ends = uPlot.rangeNum(hardMinOnly ? hardMin : low, hardMaxOnly ? hardMax : high, {
    min: { pad: 0.1, hard: hardMin ?? -Infinity, soft: softMin || 0, mode: softMin == null ? 3 : 1 },
    max: { pad: 0.1, hard: hardMax ?? Infinity, soft: softMax || 0, mode: softMax == null ? 3 : 1 },
  });
  if (decimals === 0) [ends[0], ends[1]] = [Math.floor(ends[0]), Math.ceil(ends[1])];
  if (hardMinOnly) ends[0] = hardMin;
  if (hardMaxOnly) ends[1] = hardMax;
  return ends[0] >= ends[1] ? [0, 100] : ends;
}

const binary = new Set(['bytes', 'bits', 'KiBs']);
const powers = Array.from({ length: 53 }, (_, power) => 2 ** power);

function axis(values, config, height) {
  const [low, high] = range(values, config);
  const [incr, space] = inner.findIncr(low, high, binary.has(config.unit) ? powers : inner.numIncrs, height, 30);
  let marks = inner.numAxisSplits(null, 0, low, high, incr, space, false);
  if (config.decimals === 0) marks = marks.filter(Number.isInteger);
  const display = data.getDisplayProcessor({ field: { type: 'number', config, values }, theme: data.createTheme() });
  const decimals = data.guessDecimals(data.roundDecimals(incr, 6));
  return [low, high, marks, marks.map((mark) => data.formattedValueToString(display(mark, decimals > 0 ? decimals : undefined)))];
}

const columns = [
  [0, 0, 0], [1, 1], [5, 5, 5], [-4, -4], [0.5, 0.5], [0, 1], [0, 0.013], [0.92, 0.97], [3, 8, 5], [120, 130], [-3, 12], [-9, -2],
  [1e6, 3.2e6], [100_000, 100_001], [86_400, 1_234_567], [0.0004, 0.0031], [7, 86_000], [512, 900_000_000], [0, 3], [0, 3.33e-8],
];
const settings = [
  {}, { unit: 'percentunit' }, { unit: 'percentunit', min: 0, max: 1 }, { unit: 'percentunit', min: 0, custom: { axisSoftMax: 0.01 } },
  { unit: 's' }, { unit: 'ms' }, { unit: 'bytes' }, { unit: 'short', min: 0 }, { unit: 'short', decimals: 0 },
  { unit: 'none', custom: { axisSoftMin: 0, axisSoftMax: 10 } }, { unit: 'locale' }, { unit: 'reqps', decimals: 2 },
  { unit: 'currencyUSD' }, { custom: { axisCenteredZero: true } }, { max: 5 }, { min: -2, custom: { axisSoftMin: 3 } },
  { unit: 'dtdurations', min: 0 }, { unit: 'd' },
];
const heights = [40, 110, 226, 500];
const rows = [];
for (const values of columns) {
  for (const config of settings) {
    for (const height of heights) rows.push([values, config, height, ...axis(values, config, height)]);
  }
}
console.log(JSON.stringify(rows));
