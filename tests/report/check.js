/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Appended to a page by tests/report.sh: does what a reader does and writes down what came
 * of it, a line each: "ok …" or "FAIL …". */
(async () => {
const lines = [], want = new URLSearchParams(location.hash.slice(1)), note = (good, text) => lines.push(`${good ? 'ok' : 'FAIL'} ${text}`);
const pause = ms => new Promise(done => setTimeout(done, ms)), $ = id => document.getElementById(id);
const finish = () => document.body.append(Object.assign(document.createElement('pre'), { id: 'check', textContent: lines.concat('end').join('\n') }));
addEventListener('error', event => note(false, `error: ${event.message}`));
addEventListener('unhandledrejection', event => note(false, `error: ${event.reason}`));
const send = (to, kind, type, x, y, more) => {
    const r = to.getBoundingClientRect();
    to.dispatchEvent(new kind(type, { clientX: r.left + x, clientY: r.top + y, bubbles: true, cancelable: true, button: 0, buttons: type.includes('move') ? 0 : 1, view: window, ...more }));
};
const key = (to, name) => { to.focus(); to.dispatchEvent(new KeyboardEvent('keydown', { key: name, bubbles: true, cancelable: true })); };
const pick = (label, value) => {
    const select = [...document.querySelectorAll('label')].find(l => l.textContent.startsWith(label)).querySelector('select');
    select.value = value;
    select.dispatchEvent(new Event('change'));
};
const colours = canvas => {
    const copy = Object.assign(document.createElement('canvas'), { width: canvas.width, height: canvas.height }), g = copy.getContext('2d', { willReadFrequently: true });
    g.drawImage(canvas, 0, 0);
    const seen = new Set(), data = g.getImageData(0, 0, canvas.width, canvas.height).data;
    for (let i = 0; i < data.length; i += 44)
        seen.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
    return seen.size;
};

async function checkPattern(plot, reading, app) {
    const over = plot().over, w = over.clientWidth;
    send(over, MouseEvent, 'mouseenter', w / 2, 50);
    send(over, MouseEvent, 'mousemove', w / 2, 50);
    await pause(50);
    note(/observed -?[\d.]+/.test(reading.textContent), `pattern reads: ${reading.textContent}`);
    const before = plot().scales.x.max - plot().scales.x.min;
    send(over, WheelEvent, 'wheel', w / 2, 50, { deltaY: -100 });
    await pause(50);
    note(plot().scales.x.max - plot().scales.x.min < 0.9 * before, 'the wheel zooms the pattern');
    key(plot().root.parentElement, '0');
    await pause(50);
    note(Math.abs(plot().scales.x.max - plot().scales.x.min - before) < 1e-6, '0 shows all of it');
    void app;
}

async function checkSeries() {
    const app = window.braggApp, map = $('map'), box = app.picture.box, frames = app.run.frames;
    note(frames === 12 && app.run.phases.length === 2, `${frames} frames, ${app.run.phases.length} phases`);
    note(colours(app.picture.base) > 50, `the map has ${colours(app.picture.base)} colours`);
    send(map, PointerEvent, 'pointermove', box.x + box.w / 2, box.y + box.h / 2);
    const reading = $('reading').textContent;
    note(/2θ 20\.\d+°, d 2\.0\d+ Å, Q 3\.\d+ Å⁻¹ · frame \d+ \(\d+\.xye\), .*\d V.* · intensity \d/.test(reading), `hover reads: ${reading}`);
    send(map, PointerEvent, 'pointerdown', box.x + 20, box.y + 8);
    send(map, PointerEvent, 'pointerup', box.x + 20, box.y + 8);
    await pause(50);
    note(app.frame === 11 && /^Frame 11 \(00012/.test($('frame').textContent), `click shows: ${$('frame').textContent}`);
    note(app.pattern.plot.data.length >= 3 && app.pattern.plot.data[2].some(v => v > 0), 'with observed and calculated');
    const all = { ...app.view };
    send(map, WheelEvent, 'wheel', box.x + box.w / 2, box.y + box.h / 2, { deltaY: -100 });
    note(app.view.x1 - app.view.x0 < 0.9 * (all.x1 - all.x0) && app.view.t1 - app.view.t0 < 0.9 * (all.t1 - all.t0), 'the wheel zooms the map');
    send(map, MouseEvent, 'dblclick', box.x + 50, box.y + 50);
    note(app.view.x0 === all.x0 && app.view.t1 === all.t1, 'a double click shows all');
    send(map, PointerEvent, 'pointerdown', box.x + box.w * 0.25, box.y + box.h * 0.25);
    send(map, PointerEvent, 'pointermove', box.x + box.w * 0.5, box.y + box.h * 0.75);
    send(map, PointerEvent, 'pointerup', box.x + box.w * 0.5, box.y + box.h * 0.75);
    note(Math.abs(app.view.x0 - 15) < 0.2 && Math.abs(app.view.x1 - 20) < 0.2, `a drag zooms to ${app.view.x0.toFixed(2)} … ${app.view.x1.toFixed(2)}`);
    $('all').click();
    key(map, 'ArrowDown');
    key(map, 'Enter');
    await pause(50);
    note(app.frame < 11, `keys go to frame ${app.frame}`);
    key(map, '+');
    note(app.view.x1 - app.view.x0 < 0.7 * (all.x1 - all.x0), 'the plus key zooms');
    key(map, '0');
    /* copper 111 at 19.55 degrees leaves */
    $('mark').click();
    note($('mark').getAttribute('aria-pressed') === 'true', 'peaks can be selected');
    const at = app.picture.pxOf(19.55);
    send(map, PointerEvent, 'pointerdown', at, box.y + box.h - 10);
    send(map, PointerEvent, 'pointerup', at, box.y + box.h - 10);
    await pause(50);
    const area = app.groups.find(g => g.peak && g.label.endsWith('area')), position = app.groups.find(g => g.peak && g.label.endsWith('position (°)'));
    note(app.peaks.length === 1 && app.peaks[0].from < 19.5 && app.peaks[0].to > 19.6 && app.peaks[0].to - app.peaks[0].from < 2, `peak ${app.peaks[0] && app.peaks[0].name}`);
    note(area && area.series[0].y[0] > 3 * area.series[0].y[11] && area.series[0].y[11] > 0, `its area falls: ${area && area.series[0].y.map(v => v.toFixed(0)).join(' ')}`);
    note(position && position.series[0].y.slice(0, 8).every(v => Math.abs(v - 19.55) < 0.06), `its place: ${position && position.series[0].y.map(v => v.toFixed(3)).join(' ')}`);
    note(document.querySelectorAll('.peaks li').length === 1 && app.charts.length >= 4, `${app.charts.length} courses`);
    for (const unit of ['d', 'q', 'tth']) {
        pick('Axis', unit);
        note(app.unit.key === unit && colours(app.picture.base) > 50, `axis ${unit}`);
    }
    pick('Show', 'difference');
    note(colours(app.picture.base) > 50, 'difference');
    pick('Show', 'observed');
    for (const scale of ['log', 'linear', 'sqrt'])
        pick('Scale', scale);
    pick('Upright', 'frame');
    await pause(50);
    note(app.along.key === 'frame' && app.view.t1 > 11, 'upright by frame');
    await checkPattern(() => app.pattern.plot, $('pattern-reading'), app);
    const chart = app.charts[0].plot;
    send(chart.over, MouseEvent, 'mouseenter', 5, 20);
    send(chart.over, MouseEvent, 'mousemove', 5, 20);
    await pause(50);
    note(/^frame 0 .*V/.test($('reading').textContent), `a course reads: ${$('reading').textContent}`);
    send(chart.over, MouseEvent, 'mousedown', 5, 20);
    send(chart.over, MouseEvent, 'mouseup', 5, 20);
    send(chart.over, MouseEvent, 'click', 5, 20);
    await pause(50);
    note(app.frame === 0, 'a click on it shows the frame');
    document.querySelector('.peaks button').click();
    note(app.peaks.length === 0, 'a peak can be removed');
    const root = document.documentElement, before = root.dataset.theme;
    root.dataset.live = 'yes'; /* a live page has no figures for print */
    dispatchEvent(new Event('beforeprint'));
    const still = document.querySelector('.map img');
    await (still && still.decode());
    note(still && still.naturalWidth > 500 && root.dataset.theme === 'light', `a live page prints its map of ${still ? still.naturalWidth : 'no'} pixels`);
    dispatchEvent(new Event('afterprint'));
    note(!document.querySelector('.map img') && root.dataset.theme === before, 'and is as before after it');
    delete root.dataset.live;
}

async function checkFits() {
    const app = window.braggApp;
    await checkPattern(() => app.pattern.plot, $('reading'), app);
    if (want.get('axis') === 'tth') {
        note(/2θ [\d.]+°, d [\d.]+ Å.* at [\d.]+$/.test($('reading').textContent), `names the reflection: ${$('reading').textContent}`);
        pick('Axis', 'd');
        note(app.pattern.plot.scales.x.dir === -1, 'axis d');
        pick('Axis', 'tth');
        await pause(50);
    }
    const u = app.pattern.plot, y = u.data[1], top = y.indexOf(Math.max(...y.filter(Number.isFinite)));
    $('mark').click();
    for (const [type, to] of [['mousedown', u.over], ['mouseup', u.over], ['click', u.over]])
        send(to, MouseEvent, type, u.valToPos(u.data[0][top], 'x'), 20);
    await pause(50);
    note(/area [\d.e+]+, calculated [\d.e+]+, centre/.test(document.querySelector('.peaks').textContent), `peak: ${document.querySelector('.peaks').textContent}`);
}

try {
    for (let k = 0; k < 200 && !document.documentElement.dataset.ready; k++)
        await pause(50);
    note(document.documentElement.dataset.ready === 'yes', 'the page is ready');
    note(getComputedStyle(document.body).backgroundColor === (want.get('dark') ? 'rgb(23, 25, 28)' : 'rgb(255, 255, 255)'), `paper ${getComputedStyle(document.body).backgroundColor}`);
    await (want.get('kind') === 'series' ? checkSeries() : checkFits());
    const before = getComputedStyle(document.body).backgroundColor;
    document.querySelector('button.theme').click();
    note(getComputedStyle(document.body).backgroundColor !== before, 'the button turns dark and light');
    document.querySelector('button.theme').click();
    note(!/https?:/.test([...document.querySelectorAll('[src],[href]')].map(e => e.src || e.href).join(' ')), 'nothing comes from elsewhere');
} catch (error) {
    note(false, `error: ${error.stack}`);
}
finish();
})();
