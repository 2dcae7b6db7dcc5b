'use strict';
// What a browser does with panels: in a file of them, and in the viewer.
const Panels = (() => {
  // Looks are set from here, as a strict content security policy lets no style attribute through.
  const dress = (root) => root.querySelectorAll('[data-look]').forEach((one) => { one.style.cssText = one.dataset.look; });

  // Draw or redraw a chart; chosen(range) is called when somebody chooses a stretch of time, chosen(null) for more of it.
  const plot = (place, chart, chosen) => {
    const first = !place.classList.contains('js-plotly-plot');
    Plotly.react(place, chart.traces, chart.layout, { displaylogo: false, responsive: true, displayModeBar: false });
    if (!first || !chart.time) return;
    place.on('plotly_relayout', (change) => {
      if ('xaxis.range[0]' in change) chosen([change['xaxis.range[0]'], change['xaxis.range[1]']]);
      else if ('xaxis.autorange' in change) chosen(null);
    });
  };

  const hide = (line, off) => {
    line.classList.toggle('off', off);
    line.querySelector('button').setAttribute('aria-pressed', String(!off));
    const place = line.closest('.with-legend').querySelector('.chart');
    if (place.data) Plotly.restyle(place, { visible: !off }, [Number(line.dataset.trace)]);
  };

  const sort = (head, down) => {
    head.closest('tr').querySelectorAll('th').forEach((one) => one.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const body = head.closest('table').tBodies[0];
    const key = (line) => line.cells[head.cellIndex].dataset.order ?? line.cells[head.cellIndex].textContent;
    [...body.rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      const order = isNaN(x) || isNaN(y) ? String(x).localeCompare(y) : x - y;
      return down ? -order : order;
    }).forEach((line) => body.append(line));
  };

  document.addEventListener('click', (event) => {
    const line = event.target.closest('.legend tr[data-trace]');
    if (line) hide(line, !line.classList.contains('off'));
    const head = event.target.closest('.scroll th');
    if (head) sort(head, head.getAttribute('aria-sort') === 'ascending');
  });

  return { dress, plot, hide, sort };
})();
