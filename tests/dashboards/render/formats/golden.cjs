// Prints what Grafana's own formats say to each unit: [unit, value, decimals, text]. Values are drawn with a fixed seed.
const NOW = 1763700000000; // fixed, so that "5 minutes ago" stays so
Date.now = () => NOW;
// Grafana asks the browser for the locale.
Object.defineProperty(globalThis, 'navigator', { value: { language: 'en-US', languages: ['en-US'] }, configurable: true });
const { getValueFormats, getValueFormat, formattedValueToString } = require('@grafana/data');

let state = 42;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 4294967296;
};

const fixed = [0, 1, -1, 0.5, 999, 1000, 1023, 1024, 1500, 59.9, 60, 3600, 86400, 0.001, 1e-7, 123456789, -2048, 1e21];
const custom = ['suffix:req', 'prefix:~', 'si:mF', 'count:cats', 'currency:€', 'currency:financial:$', 'bool:on/off',
  'time:YYYY-MM-DD', 'time:MMM Do h:mm A', 'widgets', '', 'farenheit', 'currency:financial:€:suffix'];
const units = getValueFormats().flatMap((category) => category.submenu.map((one) => one.value)).concat(custom);
const rows = [];
units.forEach((unit, place) => {
  const date = /^dateTime|^time:/.test(unit);
  const values = date
    ? [NOW, NOW - 5000, NOW - 300000, NOW - 7.3 * 86400000, NOW + 3600000 * 5, NOW - 400 * 86400000, NOW - 80 * 1000]
    : [fixed[place % fixed.length], (random() - 0.3) * 10 ** Math.floor(random() * 14 - 4), random() * 10 ** (place % 7)];
  for (const value of values) {
    const decimals = [null, null, 0, 1, 2, 4][Math.floor(random() * 6)];
    let text;
    text = formattedValueToString(getValueFormat(unit)(value, decimals, null, 'utc'));
    rows.push([unit, value, decimals, text]);
  }
});
// The units that dashboards use most, on everything.
for (const unit of ['short', 'none', 's', 'ms', 'bytes', 'decbytes', 'percentunit', 'percent', 'binBps', 'currencyUSD', 'locale', 'dtdurations', 'reqps', 'sci', 'hex']) {
  for (const value of [...fixed, 0.1 + 0.2, 2.5, 1.005, 12.345, 99.99, -0.004, 1e15 + 0.3]) {
    for (const decimals of [null, 2]) {
      rows.push([unit, value, decimals, formattedValueToString(getValueFormat(unit)(value, decimals, null, 'utc'))]);
    }
  }
}
process.stdout.write('[\n' + rows.map((row) => JSON.stringify(row)).join(',\n') + '\n]\n');
