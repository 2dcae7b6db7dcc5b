'use strict';
// What a browser does with panels: in a file of them, and in the viewer.
const Panels = (() => {
  // Looks are set from here, as a strict content security policy lets no style attribute through.
  const dress = (root) => {
    root.querySelectorAll('[data-look]').forEach((one) => { one.style.cssText = one.dataset.look; });
    root.querySelectorAll('.stat').forEach((one) => resized.observe(one));
  };

  // All values of a stat are as large as the longest of them allows, in rows of tiles that are most like squares.
  const GAP = 6, PADDING = 8, COURSE = 0.3;
  const NAME = 12, SMALLEST = 9, READABLE = 12, LARGEST = 56;
  const resized = new ResizeObserver((entries) => entries.forEach(({ target }) => fit(target)));
  document.fonts.addEventListener('loadingdone', () => document.querySelectorAll('.stat').forEach(fit));

  // Width of each text when its letters are one pixel high.
  const widths = (stat, kind) => [...stat.querySelectorAll(kind)].map((one) => {
    const range = document.createRange();
    range.selectNodeContents(one);
    return range.getBoundingClientRect().width / parseFloat(getComputedStyle(one).fontSize);
  });

  const columnsOf = (width, height, count) => {
    const side = (w, h) => {
      const parts = Math.ceil(Math.sqrt(count * w / h));
      return Math.floor(parts * h / w) * parts < count ? h / Math.ceil(parts * h / w) : w / parts;
    };
    const largest = Math.max(side(width, height), side(height, width));
    return Math.ceil(count / Math.ceil(count / Math.max(1, Math.floor(width / largest + 1e-9))));
  };

  const fit = (stat) => {
    const { clientWidth: width, clientHeight: height } = stat;
    const count = stat.children.length;
    if (!width || !height || !count) return;
    stat.classList.remove('broken', 'beside');
    stat.style.cssText = 'white-space: nowrap';
    const [value, name] = [Math.max(0.5, ...widths(stat, 'b')), Math.max(0, ...widths(stat, 'small'))];
    const course = stat.querySelector('svg') ? COURSE : 0;
    const arranged = (columns) => {
      const cell = { width: (width - GAP * (columns - 1)) / columns, height: (height + GAP) / Math.ceil(count / columns) - GAP };
      const room = cell.width - 2 * PADDING;
      const beside = name > 0 && !course && cell.width > 2.5 * cell.height;
      // A name beside its value stays in one line where that leaves half of the tile.
      const most = beside ? Math.max(room / 2, room - name * NAME - GAP - 2) : room;
      return { columns, cell, beside, size: Math.min(LARGEST, cell.height * (beside ? 0.6 : 0.38), most / value) };
    };
    const fixed = { vertical: count, horizontal: 1 }[stat.dataset.orientation];
    let best = arranged(fixed ?? columnsOf(width, height, count));
    for (let columns = 1; best.size < READABLE && !fixed && columns <= count; columns += 1) {
      const other = arranged(columns);
      if (other.size > best.size) best = other;
    }
    stat.classList.toggle('beside', best.beside);
    const set = (size) => {
      const basis = `calc((100% - ${GAP * (best.columns - 1)}px) / ${best.columns} - 0.1px)`;
      stat.style.cssText = `--basis: ${basis}; --value: ${size}px; --name: ${Math.min(NAME, Math.max(SMALLEST, size * 0.7))}px; --course: ${best.cell.height * course}px`;
    };
    // Names that take two lines leave less height.
    let size = Math.max(SMALLEST, best.size);
    for (set(size); size > SMALLEST && stat.scrollHeight > height; set(size)) size = Math.max(SMALLEST, size * 0.9);
    stat.classList.toggle('broken', best.size < SMALLEST);
  };

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
    if (place.data) Plotly.restyle(place, { visible: !off }, line.dataset.trace.split(' ').map(Number));
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
