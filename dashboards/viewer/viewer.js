// The viewer's pages: what is chosen is in the address, panels come as pieces, and only those that changed.
(() => {
  const id = (name) => document.getElementById(name);
  const html = document.documentElement;
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const themeNow = () => html.dataset.theme || (dark.matches ? 'dark' : 'light');
  let changedTheme = () => {};

  id('theme')?.addEventListener('change', ({ target }) => {
    if (target.value) html.dataset.theme = target.value; else delete html.dataset.theme;
    document.cookie = `theme=${target.value}; path=/; max-age=31536000; samesite=strict`;
    changedTheme();
  });
  dark.addEventListener('change', () => changedTheme());
  // Escape and a click elsewhere close menus.
  const closeMenus = (but) => document.querySelectorAll('details.menu[open]').forEach((one) => {
    if (!one.contains(but)) one.open = false;
  });
  document.addEventListener('click', ({ target }) => closeMenus(target));
  document.addEventListener('focusin', ({ target }) => closeMenus(target));
  document.addEventListener('keydown', (event) => {
    const menu = event.key === 'Escape' && event.target.closest('details.menu[open]');
    if (menu) { menu.open = false; menu.querySelector('summary').focus(); event.stopPropagation(); }
  });

  const main = id('main');
  const { plotly, refresh: ownRefresh } = document.body.dataset;
  if (!plotly) return;

  // Plotly writes a few style attributes, which the content security policy refuses to attributes, but not to scripts.
  const { setAttribute } = Element.prototype;
  Element.prototype.setAttribute = function (name, value) {
    if (name === 'style') this.style.cssText = value; else setAttribute.call(this, name, value);
  };
  const drawing = new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = plotly;
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  });
  const path = location.pathname.split('/').slice(0, 3).join('/');
  const chosen = () => new URLSearchParams(location.search);
  const hashes = { variables: '', links: '' };
  const panels = new Map();    // key -> { element, hash, chart }
  const folded = new Map();    // key of a row -> whether it is folded
  let shape = '';              // what the grid was made for
  let range = [];
  let asking = new AbortController();
  let timer = 0;

  // Charts are drawn when they come near the screen.
  const near = new IntersectionObserver((entries) => entries.forEach(({ isIntersecting, target }) => {
    const panel = panels.get(target.dataset.key);
    if (panel) { panel.near = isIntersecting; if (isIntersecting) draw(panel); }
  }), { rootMargin: '200px' });

  const draw = (panel) => {
    if (!panel.chart || !panel.near) return;
    const { chart, element } = panel;
    const layout = structuredClone(chart.layout);
    if (chart.time) layout.xaxis.range ??= range.slice();
    panel.chart = null;
    drawing.then(() => {
      const place = element.querySelector('.chart');
      if (!place?.isConnected) return;
      Panels.plot(place, { ...chart, layout }, (ends) => (ends ? go({ from: epoch(ends[0]), to: epoch(ends[1]) }) : wider()));
      element.querySelectorAll('.legend .off').forEach((line) => Panels.hide(line, true));
    });
  };
  const epoch = (text) => String(Date.parse(`${String(text).replace(' ', 'T')}Z`));

  // Choose something: a new entry of the history, and new panels.
  const go = (changes) => {
    const query = chosen();
    Object.entries(changes).forEach(([name, value]) => {
      query.delete(name);
      [value ?? []].flat().forEach((one) => query.append(name, one));
    });
    history.pushState(null, '', `?${query}`);
    load();
  };

  const load = async () => {
    asking.abort();
    asking = new AbortController();
    clearTimeout(timer);
    main.setAttribute('aria-busy', 'true');
    const query = chosen();
    query.set('theme', themeNow());
    query.set('width', String(Math.round(innerWidth / 50) * 50));
    const known = [hashes.variables, hashes.links, ...[...panels.values()].map((one) => one.hash)].filter(Boolean);
    try {
      const answer = await fetch(`${path}/panels.json?${query}`, {
        headers: { 'X-Known': known.slice(0, 400).join(' ') }, signal: asking.signal, cache: 'no-store',
      });
      const page = await answer.json();
      if (page.error) fail(page.error); else show(page);
    } catch (error) {
      if (error.name === 'AbortError') return;
      fail(`The viewer does not answer (${error.message}).`);
    }
    main.setAttribute('aria-busy', 'false');
    again();
  };

  const SECONDS = { s: 1, m: 60, h: 3600 };
  const again = () => {
    clearTimeout(timer);
    const every = /^(\d+)([smh])$/.exec(id('refresh').value);
    if (every) timer = setTimeout(() => (document.hidden ? again() : load()), every[1] * SECONDS[every[2]] * 1000);
  };

  // Nothing stays on the screen that could be taken for the present.
  const fail = (text) => {
    id('problem').textContent = text;
    id('problem').hidden = false;
    id('status').textContent = 'Not refreshed.';
    if (chosen().get('viewPanel') && !main.querySelector('.back')) wayBack();
    panels.forEach((panel) => {
      panel.hash = '';
      panel.chart = null;
      const message = document.createElement('div');
      message.className = 'message failed';
      message.append(Object.assign(document.createElement('p'), { textContent: 'No data: see the top of the page.' }));
      const head = panel.element.querySelector('header');
      panel.element.replaceChildren(...(head ? [head] : []), message);
      panel.element.dataset.state = 'failed';
    });
  };

  const show = (page) => {
    id('problem').textContent = page.problems.join('; ');
    id('problem').hidden = !page.problems.length;
    range = page.range;
    for (const name of ['variables', 'links']) {
      // A form that somebody is using stays as it is.
      const place = id(name);
      if (page[name].html === undefined || place.contains(document.activeElement) && place.querySelector('details[open]')) continue;
      hashes[name] = page[name].hash;
      keepingFocus(place, () => { place.innerHTML = page[name].html; });
    }
    const wanted = JSON.stringify([chosen().get('viewPanel'), page.panels.map(({ key, type, title, place }) => [key, type, title, place])]);
    if (wanted !== shape) {
      shape = wanted;
      arrange(page.panels);
    }
    page.panels.forEach((piece) => {
      const panel = panels.get(piece.key);
      if (!panel) return;
      panel.element.dataset.state = piece.state;
      if (piece.html !== undefined && panel.hash !== piece.hash) fill(panel, piece);
      else if (panel.latest?.time) { panel.chart = panel.latest; draw(panel); }
    });
    const failed = page.failed ? `, ${page.failed} failed` : '';
    id('status').textContent = `${page.span}. ${panels.size} panels${failed}.`;
    timeShown(page.time);
  };

  const fill = (panel, piece) => {
    const { element } = panel;
    const off = [...element.querySelectorAll('.legend .off')].map((line) => line.textContent);
    const head = element.querySelector('.scroll th[aria-sort]');
    const order = head && [head.cellIndex, head.getAttribute('aria-sort') === 'descending'];
    const scrolled = [...element.querySelectorAll('.scroll, .legend, .text, .alerts')].map((one) => [one.scrollTop, one.scrollLeft]);
    const old = element.querySelector('.chart');
    const open = element.querySelector('.queries')?.open;
    keepingFocus(element, () => {
      element.innerHTML = piece.html;
      // A chart is redrawn in place, without a flash.
      const place = element.querySelector('.chart');
      if (old && place) place.replaceWith(old); else if (old) Plotly.purge(old);
    });
    Panels.dress(element);
    element.classList.toggle('transparent', piece.transparent);
    element.querySelectorAll('.legend tr').forEach((line) => { if (off.includes(line.textContent)) line.classList.add('off'); });
    const heads = element.querySelectorAll('.scroll th');
    if (order && heads[order[0]]) Panels.sort(heads[order[0]], order[1]);
    element.querySelectorAll('.scroll, .legend, .text, .alerts').forEach((one, place) => {
      if (scrolled[place]) [one.scrollTop, one.scrollLeft] = scrolled[place];
    });
    if (open) element.querySelector('.queries').open = true;
    Object.assign(panel, { hash: piece.hash, chart: piece.chart, latest: piece.chart });
    draw(panel);
  };

  const FOCUSABLE = 'a, button, input, select, summary, [tabindex]';
  const keepingFocus = (place, change) => {
    const number = [...place.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
    change();
    if (number >= 0) place.querySelectorAll(FOCUSABLE)[number]?.focus({ preventScroll: true });
  };

  // Make the grid: a section a row, so that a folded one leaves no hole.
  const arrange = (pieces) => {
    const alone = Boolean(chosen().get('viewPanel'));
    const old = new Map(panels);
    panels.clear();
    near.disconnect();
    main.replaceChildren();
    let grid, top;
    const begin = (row) => {
      const group = document.createElement('section');
      group.className = 'group';
      grid = document.createElement('div');
      grid.className = 'grid';
      top = null;
      if (row) {
        const button = Object.assign(document.createElement('button'), { type: 'button', textContent: row.title || 'Row' });
        const heading = document.createElement('h2');
        heading.append(button);
        const fold = (off) => {
          folded.set(row.key, off);
          group.classList.toggle('folded', off);
          button.setAttribute('aria-expanded', String(!off));
        };
        button.addEventListener('click', () => fold(!folded.get(row.key)));
        fold(folded.get(row.key) ?? row.state === 'collapsed');
        group.append(heading);
      }
      group.append(grid);
      main.append(group);
    };
    pieces.forEach((piece) => {
      const [x, y, w, h] = piece.place;
      if (piece.type === 'row') { begin(piece); top = y + 1; return; }
      if (!grid) begin();
      top ??= y;
      const panel = old.get(piece.key) ?? { element: document.createElement('section'), hash: '' };
      const { element } = panel;
      element.className = `panel type-${piece.type.replace(/[^\w-]/g, '')}${alone ? ' alone' : ''}`;
      element.dataset.key = piece.key;
      element.setAttribute('aria-labelledby', `title-${piece.key}`);
      if (alone) element.style.cssText = '';
      else element.style.cssText = `grid-column: ${x + 1} / span ${w}; grid-row: ${y - top + 1} / span ${h}; --height: ${h};`;
      grid.append(element);
      panels.set(piece.key, panel);
      if (panel.latest) panel.chart = panel.latest;
      near.observe(element);
    });
    if (alone) wayBack();
  };
  const wayBack = () => {
    const query = chosen();
    query.delete('viewPanel');
    const back = Object.assign(document.createElement('a'), { href: `?${query}`, textContent: '← All panels', className: 'back' });
    back.dataset.view = '';
    main.prepend(back);
  };

  const timeShown = ({ from, to }) => {
    const known = document.querySelector(`#time [data-from="${CSS.escape(from)}"]`);
    const text = (one) => (/^\d{11,}$/.test(one) ? new Date(Number(one)).toISOString().slice(0, 19).replace('T', ' ') : one);
    document.querySelector('#time summary').textContent = known && to === 'now' ? known.textContent : `${text(from)} to ${text(to)}`;
    document.querySelectorAll('#time [data-from]').forEach((one) => one.setAttribute('aria-pressed', String(one === known && to === 'now')));
    if (!id('time').open) {
      document.querySelector('#time [name=from]').value = text(from);
      document.querySelector('#time [name=to]').value = text(to);
    }
    document.querySelectorAll('a[data-time]').forEach((one) => {
      const query = chosen();
      const kept = ['from', 'to'].filter((name) => query.has(name)).map((name) => [name, query.get(name)]);
      one.search = new URLSearchParams(kept);
    });
  };

  id('time').addEventListener('click', ({ target }) => {
    const start = target.closest('[data-from]')?.dataset.from;
    if (start) { id('time').open = false; id('time').querySelector('summary').focus(); go({ from: start, to: 'now' }); }
  });
  id('time').querySelector('form').addEventListener('submit', (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    id('time').open = false;
    go({ from: given.get('from'), to: given.get('to') });
  });
  const wider = () => {
    const [start, end] = range.map((one) => Number(epoch(one)));
    if (end > start) go({ from: String(start - (end - start) / 2), to: String(Math.min(end + (end - start) / 2, Date.now())) });
  };
  id('out').addEventListener('click', wider);
  id('again').addEventListener('click', load);

  // One value goes at once, several when their list is closed.
  const apply = (place) => {
    const fields = [...place.querySelectorAll('input, select')];
    const { name } = fields[0];
    const values = fields.filter((one) => one.type !== 'checkbox' || one.checked).map((one) => one.value);
    if (JSON.stringify(values) !== JSON.stringify(chosen().getAll(name))) go({ [name]: values.length ? values : '' });
  };
  id('variables').addEventListener('submit', (event) => event.preventDefault());
  id('variables').addEventListener('change', ({ target }) => {
    const place = target.closest('.variable');
    if (target.type !== 'checkbox') { apply(place); return; }
    place.dataset.touched = '';
    const boxes = [...place.querySelectorAll('input')];
    const all = boxes.find((one) => one.value === '$__all');
    if (!all || !target.checked) return;
    boxes.forEach((one) => { if ((one === all) !== (target === all)) one.checked = false; });
  });
  id('variables').addEventListener('toggle', ({ target }) => {
    if (!target.open && 'touched' in target.dataset) { delete target.dataset.touched; apply(target); }
  }, true);

  // A panel alone and back, without loading the page again.
  main.addEventListener('click', (event) => {
    const link = event.target.closest('a[data-view]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    history.pushState(null, '', link.href);
    load().then(() => main.querySelector('.back, .panel a')?.focus());
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !event.defaultPrevented) main.querySelector('.back')?.click();
  });
  addEventListener('popstate', load);

  const every = chosen().get('refresh') ?? ownRefresh;
  id('refresh').value = [...id('refresh').options].some((one) => one.value === every) ? every : 'off';
  id('refresh').addEventListener('change', ({ target }) => {
    const query = chosen();
    query.set('refresh', target.value);
    history.replaceState(null, '', `?${query}`);
    again();
  });
  changedTheme = load;
  load();
})();
