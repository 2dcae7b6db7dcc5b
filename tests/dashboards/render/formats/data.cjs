// Prints what Grafana's own code makes of small data: calculations over fields, transformations of tables, and the
// colour and text of values by mappings and thresholds.
Object.defineProperty(globalThis, 'navigator', { value: { language: 'en-US', languages: ['en-US'] }, configurable: true });
const data = require('@grafana/data');
// Asked for by the transformations, but a browser to the libraries if it were there earlier.
globalThis.window = {};

const plain = (value) => {
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (Array.isArray(value)) return value.map(plain);
  return value === undefined ? null : value;
};

// Calculations
const columns = {
  rising: [1, 2, 4, 8],
  falling: [9, 7, 7, 2],
  holes: [null, 3, null, 5, null],
  nan: [NaN, 2, NaN],
  counter: [1, 5, 9, 2, 6],
  zeros: [0, 0, 0],
  one: [4.5],
  negative: [-3, -1.5, -8],
  empty: [],
};
const ids = ['lastNotNull', 'last', 'firstNotNull', 'first', 'min', 'max', 'mean', 'sum', 'count', 'range', 'delta', 'step',
  'diff', 'logmin', 'allIsZero', 'allIsNull', 'changeCount', 'distinctCount', 'diffperc', 'median', 'p95', 'p50', 'stdDev', 'variance'];
const calculations = [];
for (const [name, values] of Object.entries(columns)) {
  for (const id of ids) {
    const field = { name, type: 'number', config: {}, values };
    calculations.push([values.map(plain), id, plain(data.reduceField({ field, reducers: [id] })[id])]);
  }
}

// Transformations
const frames = () => [
  data.toDataFrame({ refId: 'A', fields: [
    { name: 'Time', type: 'time', values: [1000, 2000, 3000] },
    { name: 'instance', type: 'string', values: ['a', 'b', 'a'] },
    { name: 'Value #A', type: 'number', values: [1, 2, 3] },
  ] }),
  data.toDataFrame({ refId: 'B', fields: [
    { name: 'Time', type: 'time', values: [1000, 2000, 4000] },
    { name: 'instance', type: 'string', values: ['a', 'b', 'c'] },
    { name: 'Value #B', type: 'number', values: [10, 20, 40] },
  ] }),
];
// A query without a result has no labels.
const oneEmpty = () => [
  ...frames(),
  data.toDataFrame({ refId: 'C', fields: [{ name: 'Time', type: 'time', values: [] }, { name: 'Value #C', type: 'number', values: [] }] }),
];
const now = () => oneEmpty().map((frame) => ({ ...frame, fields: frame.fields.map((field) => (
  field.type === 'time' ? { ...field, values: field.values.map(() => 5000) } : field)) }));
const named = (names) => ({ id: 'filterFieldsByName', options: { include: { names } } });
const values = ['instance', 'Value #A', 'Value #B', 'Value #C'];
const series = () => ['x', 'y'].map((name, place) => data.toDataFrame({ refId: 'A', name, fields: [
  { name: 'Time', type: 'time', values: [1000, 2000, 3000].slice(place) },
  { name: 'Value', type: 'number', values: [5, 6, 7].slice(place), labels: { host: name, zone: 'z' }, config: { displayNameFromDS: name } },
] }));
const cases = [
  ['merge', frames, [{ id: 'merge', options: {} }]],
  ['merge and organize', frames, [{ id: 'merge', options: {} }, { id: 'organize', options: {
    excludeByName: { Time: true }, indexByName: { 'Value #B': 0, instance: 1 }, renameByName: { 'Value #B': 'new' } } }]],
  ['merge with an empty table', now, [named(['Time', ...values]), { id: 'merge', options: {} }, { id: 'organize', options: {
    excludeByName: { Time: true }, indexByName: {}, renameByName: {} } }]],
  ['merge without anything in common', now, [named(values), { id: 'merge', options: {} }]],
  ['outer join', frames, [{ id: 'joinByField', options: { byField: 'instance', mode: 'outer' } }]],
  ['join on time', series, [{ id: 'joinByField', options: {} }]],
  ['reduce to rows', series, [{ id: 'reduce', options: { reducers: ['max', 'lastNotNull'] } }]],
  ['reduce with labels', series, [{ id: 'reduce', options: { reducers: ['mean'], labelsToFields: true } }]],
  ['reduce fields', series, [{ id: 'reduce', options: { reducers: ['sum'], mode: 'reduceFields' } }]],
  ['filter rows', frames, [{ id: 'filterByRefId', options: { include: 'A' } }, { id: 'filterByValue', options: { type: 'include', match: 'all',
    filters: [{ fieldName: 'Value #A', config: { id: 'greater', options: { value: 1 } } }] } }]],
  ['sort', frames, [{ id: 'filterByRefId', options: { include: 'A' } }, { id: 'sortBy', options: { sort: [{ field: 'Value #A', desc: true }] } }]],
  ['group', frames, [{ id: 'filterByRefId', options: { include: 'A' } }, { id: 'groupBy', options: { fields: {
    instance: { operation: 'groupby', aggregations: [] }, 'Value #A': { operation: 'aggregate', aggregations: ['sum', 'count'] } } } }]],
  ['calculate binary', frames, [{ id: 'filterByRefId', options: { include: 'A' } }, { id: 'calculateField', options: { mode: 'binary',
    alias: 'twice', binary: { left: 'Value #A', operator: '*', right: '2' } } }]],
  ['calculate row', frames, [{ id: 'merge', options: {} }, { id: 'calculateField', options: { mode: 'reduceRow', alias: 'both',
    reduce: { reducer: 'sum', include: ['Value #A', 'Value #B'] } } }]],
  ['limit', frames, [{ id: 'filterByRefId', options: { include: 'B' } }, { id: 'limit', options: { limitField: 2 } }]],
  ['filter fields', frames, [{ id: 'merge', options: {} }, { id: 'filterFieldsByName', options: { include: { pattern: '/Value.*/' } } }]],
  ['rename', frames, [{ id: 'merge', options: {} }, { id: 'renameByRegex', options: { regex: 'Value #(.*)', renamePattern: 'of $1' } }]],
  ['labels to columns', series, [{ id: 'labelsToFields', options: { mode: 'columns' } }]],
  ['matrix', frames, [{ id: 'filterByRefId', options: { include: 'B' } }, { id: 'groupingToMatrix', options: {
    columnField: 'instance', rowField: 'Time', valueField: 'Value #B' } }]],
];
data.standardTransformersRegistry.setInit(() => 
  // Two names of one transformation are in the list.
  [...new Map(Object.values(data.standardTransformers).map((one) => [one.id, { ...one, transformation: () => Promise.resolve(one) }])).values()]);

// Display
const theme = data.createTheme({ colors: { mode: 'dark' } });
const steps = [{ value: -Infinity, color: 'green' }, { value: 50, color: 'orange' }, { value: 80, color: 'red' }];
const settings = {
  thresholds: { unit: 'percent', thresholds: { mode: 'absolute', steps }, color: { mode: 'thresholds' } },
  percentage: { min: 0, max: 200, thresholds: { mode: 'percentage', steps }, color: { mode: 'thresholds' } },
  mapped: { mappings: [
    { type: 'value', options: { 1: { text: 'one', color: 'purple' } } },
    { type: 'range', options: { from: 10, to: 20, result: { text: 'some' } } },
    { type: 'special', options: { match: 'null+nan', result: { text: 'nothing', color: '#112233' } } },
  ], thresholds: { mode: 'absolute', steps }, color: { mode: 'thresholds' } },
  fixed: { unit: 'bytes', color: { mode: 'fixed', fixedColor: 'semi-dark-blue' } },
  scheme: { min: 0, max: 100, color: { mode: 'continuous-GrYlRd' } },
  classic: { color: { mode: 'palette-classic' }, unit: 's', decimals: 1 },
};
const shown = [];
for (const [name, config] of Object.entries(settings)) {
  for (const value of [0, 1, 15, 49.99, 50, 80, 160.5, -3, null, NaN]) {
    const field = { name: 'Value', type: 'number', config, values: [0, 100], state: { seriesIndex: 2 } };
    const { prefix, text, suffix, color } = data.getDisplayProcessor({ field, theme, timeZone: 'utc' })(value);
    shown.push([config, plain(value), `${prefix ?? ''}${text}${suffix ?? ''}`, color]);
  }
}

const asTable = (frame, _, frames) => frame.fields.map((field) => [data.getFieldDisplayName(field, frame, frames), field.type, field.values.map(plain)]);
(async () => {
  const transformed = [];
  for (const [name, make, transformations] of cases) {
    const result = await new Promise((resolve, reject) => data.transformDataFrame(transformations, make()).subscribe({ next: resolve, error: reject }));
    transformed.push({ name, frames: make().map((frame) => ({ refId: frame.refId, name: frame.name ?? '', fields: frame.fields.map((field) => (
      { name: field.name, type: field.type, values: field.values.map(plain), labels: field.labels ?? {}, given: field.config.displayNameFromDS ?? '' })) })),
    transformations, result: result.map(asTable) });
  }
  const line = (rows) => '[\n' + rows.map((row) => '  ' + JSON.stringify(row)).join(',\n') + '\n ]';
  process.stdout.write(`{\n "calculations": ${line(calculations)},\n "transformations": ${line(transformed)},\n "shown": ${line(shown)}\n}\n`);
})();
