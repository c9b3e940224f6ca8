/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The page's program: a map to point at, the frame under the pointer, courses over time.
 *
 * The data are a description (JSON) and one run of bytes; description.arrays says of
 * each array its type, where it begins and how long it is.  Intensities are codes 0 …
 * 4095: 0 is nothing, others even steps of the signed square root from low to high. */
(() => {
'use strict';

const CODES = 4095;
const TYPES = { f64: Float64Array, f32: Float32Array, u32: Uint32Array, u16: Uint16Array, u8: Uint8Array };
const INK = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8c6d31', '#7f7f7f'];

/* ------------------------------------------------------------- small things */

function el(tag, attributes, ...children) {
    const e = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {}))
        if (name.startsWith('on'))
            e.addEventListener(name.slice(2), value);
        else if (value !== false && value != null)
            e.setAttribute(name, value === true ? '' : value);
    e.append(...children);
    return e;
}

/* The first ink must stand out from dark paper too. */
const inkAgain = () => { INK[0] = css('--first'); };
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const clamp = (v, low, high) => Math.min(Math.max(v, low), high);
const signedRoot = v => Math.sign(v) * Math.sqrt(Math.abs(v));

function digits(v, n) {
    if (!Number.isFinite(v))
        return '–';
    const size = Math.abs(v);
    return size && (size >= 1e7 || size < 1e-4) ? v.toExponential(n - 1) : String(Number(v.toPrecision(n)));
}

/* Round numbers about what is shown, of per cent no further than a little beyond 0 and 100. */
function shareRange(u, low, high) {
    if (low == null || low < 0 || high > 100)
        return uPlot.rangeNum(low == null ? 0 : low, low == null ? 100 : high, 0.1, true);
    const more = 0.06 * (high - low || 1);
    return [low - more, high + more];
}

/* "3.42 h", in a smaller unit where this one leaves nothing before the point; as many
 * decimals as tell two frames apart. */
function timeText(t, unit, step) {
    while (unit > 1 && Math.abs(t) < unit)
        unit /= 60;
    const decimals = step > 0 ? Math.min(Math.max(Math.ceil(-Math.log10(step / unit / 4)), 0), 3) : 0;
    return `${(t / unit).toFixed(decimals)} ${unit > 60 ? 'h' : unit > 1 ? 'min' : 's'}`;
}

/* Does the esd leave something of the value?  As bragg_number_determined() decides. */
const determined = (v, e, unit) => !(e > 0) || !Number.isFinite(v) || (e < 1e6 || e < 100 * Math.abs(v)) && !(unit === 'nm' && e > Math.abs(v));

/* "4.15691(12) Å". */
const quantity = (v, e, n, unit) => determined(v, e, unit) ? withEsd(v, e, n) + (unit ? (unit === '°' ? '' : ' ') + unit : '') : 'not determined';

/* 4.15691(12): two digits of an esd that begins with 1. */
function withEsd(v, e, n = 6) {
    if (!Number.isFinite(v) || !(e > 0))
        return digits(v, n);
    const lead = Number(e.toExponential(1).slice(0, 3)), places = Math.max(0, -Math.floor(Math.log10(e)) + (lead < 1.95 ? 1 : 0));
    if (e >= 10) { /* no digits that the esd leaves unknown */
        const unit = 10 ** (Math.floor(Math.log10(e)) - (lead < 1.95 ? 1 : 0));
        return `${Math.round(v / unit) * unit}(${Math.round(e / unit) * unit})`;
    }
    return `${v.toFixed(Math.min(places, 12))}(${Math.round(e * 10 ** places)})`;
}

/* Index of the last element that is not above v in a rising list; 0 at least. */
function below(list, v) {
    let low = 0, high = list.length - 1;
    while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (list[middle] <= v) low = middle; else high = middle - 1;
    }
    return low;
}

function nearest(list, v) {
    const k = below(list, v);
    return k + 1 < list.length && list[k + 1] - v < v - list[k] ? k + 1 : k;
}

function niceTicks(low, high, about) {
    const raw = Math.abs(high - low) / Math.max(about, 1), power = 10 ** Math.floor(Math.log10(raw || 1));
    const step = power * [1, 2, 5, 10].find(m => m * power >= raw);
    const ticks = [];
    for (let v = Math.ceil(Math.min(low, high) / step) * step; v <= Math.max(low, high) + step * 1e-9 && ticks.length < 50; v += step)
        ticks.push(Math.abs(v) < step * 1e-9 ? 0 : Number(v.toPrecision(12)));
    return ticks;
}

/* -------------------------------------------------------------------- data */

async function inflate(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
    return new Response(stream).arrayBuffer();
}

function arraysOf(about, buffer, start) {
    const out = {};
    for (const [name, [type, at, n]] of Object.entries(about.arrays))
        out[name] = new TYPES[type](buffer, start + at, n);
    return out;
}

/* Length of the description (uint32), description, padding to 8, bytes. */
async function fetchPack(url) {
    const answer = await fetch(url, { cache: 'no-store' });
    if (!answer.ok)
        throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
    const buffer = await answer.arrayBuffer(), length = new DataView(buffer).getUint32(0, true);
    const about = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    return [about, arraysOf(about, buffer, (4 + length + 7) & ~7)];
}

function valuesOf(low, high) {
    const table = new Float32Array(CODES + 1);
    for (let k = 1; k <= CODES; k++) {
        const s = low + (k - 1) / (CODES - 1) * (high - low);
        table[k] = s * Math.abs(s);
    }
    table[0] = NaN;
    return table;
}

/* What 2theta can also be called. */
function unitsOf(axis, wavelength) {
    if (axis !== 'tth')
        return [{ key: 'own', label: axis === 'r' ? 'r (Å)' : axis === 'q' ? 'Q (Å⁻¹)' : axis === 'd' ? 'd (Å)' : axis, short: axis === 'r' ? 'r' : axis, of: v => v, back: v => v }];
    const half = Math.PI / 360, units = [{ key: 'tth', label: '2θ (°)', short: '2θ', of: v => v, back: v => v }];
    if (wavelength > 0)
        units.push({ key: 'q', label: 'Q (Å⁻¹)', short: 'Q', of: v => 4 * Math.PI * Math.sin(v * half) / wavelength, back: u => Math.asin(clamp(u * wavelength / (4 * Math.PI), -1, 1)) / half },
                   { key: 'd', label: 'd (Å)', short: 'd', down: true, of: v => wavelength / (2 * Math.sin(Math.max(v, 1e-6) * half)), back: u => Math.asin(clamp(wavelength / (2 * u), -1, 1)) / half });
    return units;
}

function readPosition(units, v) {
    if (units.length < 3)
        return `${units[0].short} ${digits(v, 6)}${units[0].key === 'tth' ? '°' : ' ' + (units[0].label.match(/\((.*)\)/) || ['', ''])[1]}`;
    return `2θ ${v.toFixed(3)}°, d ${digits(units[2].of(v), 5)} Å, Q ${digits(units[1].of(v), 5)} Å⁻¹`;
}

/* ------------------------------------------------------------------- lines */

const SCALES = {
    linear: { label: 'linear', of: v => v },
    sqrt: { label: 'square root', of: signedRoot },
    log: { label: 'logarithmic', of: v => v > 0 ? Math.log10(v) : NaN }
};

function yScale(name) {
    if (name === 'log')
        return { distr: 3 };
    return name === 'sqrt' ? { distr: 100, fwd: signedRoot, bwd: v => v * Math.abs(v) } : {};
}

/* uPlot finds ticks for scales of its own only; below zero, where a difference is shown, an intensity has none. */
const yTicks = (name, difference) => name === 'linear' ? { values: (u, list) => list.map(v => difference && v < 0 ? '' : digits(v, 6)) } : name === 'sqrt' ? { splits: (u, i, low, high) => niceTicks(low, high, 6), filter: (u, list) => list, values: (u, list) => list.map(v => digits(v, 6)) } : {};

const keysOf = list => el('p', { class: 'legend' }, ...list.map(([ink, name]) => el('span', {}, el('i', { style: `background:${ink}` }), name)));

const FONT = '12px sans-serif';
const axisStyle = extra => Object.assign({ font: FONT, labelFont: FONT, stroke: css('--ink'), grid: { stroke: css('--grid'), width: 1 }, ticks: { stroke: css('--grid'), width: 1 } }, extra);

/* The wheel stretches, keys walk: what uPlot does not do by itself. */
function addHandling(u, host, walk) {
    u.over.addEventListener('wheel', event => {
        event.preventDefault();
        const s = u.scales.x, at = u.posToVal(event.offsetX, 'x'), f = event.deltaY < 0 ? 0.75 : 1 / 0.75, all = u.data[0];
        const low = Math.max(at - (at - s.min) * f, all[0]), high = Math.min(at + (s.max - at) * f, all[all.length - 1]);
        if (high > low)
            u.setScale('x', { min: low, max: high });
    }, { passive: false });
    host.tabIndex = 0;
    host.onkeydown = event => {
        const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
        const x = u.data[0], s = u.scales.x, way = s.dir === -1 ? -1 : 1;
        if (step) {
            const k = clamp((u.cursor.idx ?? below(x, (s.min + s.max) / 2)) + step * way, 0, x.length - 1);
            u.setCursor({ left: u.valToPos(x[k], 'x'), top: u.over.clientHeight / 2 });
        } else if (event.key === '+' || event.key === '-') {
            const at = x[u.cursor.idx ?? 0], f = event.key === '+' ? 0.6 : 1 / 0.6;
            u.setScale('x', { min: Math.max(x[0], at - (at - s.min) * f), max: Math.min(x[x.length - 1], at + (s.max - at) * f) });
        } else if (event.key === '0' || event.key === 'Escape') {
            u.setScale('x', { min: x[0], max: x[x.length - 1] });
        } else if (event.key === 'Enter' && walk && u.cursor.idx != null) {
            walk(u.cursor.idx);
        } else
            return;
        event.preventDefault();
    };
}

/* ----------------------------------------------------------------- pattern */

/* One pattern with its fit: observed as dots, calculated, the difference below them and
 * a row of ticks a phase. */
class Pattern {
    constructor(host, reading, units, onpeak) {
        Object.assign(this, { host, reading, units, onpeak, unit: units[0], scale: 'linear', marking: false, plot: null, data: null });
        new ResizeObserver(() => this.plot && this.host.clientWidth > 0 && this.host.clientWidth !== this.plot.width && this.plot.setSize({ width: this.host.clientWidth, height: 380 })).observe(host);
    }

    /* data: x (own units, rising), observed, calculated?, background?, sigma?, ticks [{name, x, hkl}] */
    show(data, keepRange) {
        const range = keepRange && this.plot ? [this.plot.scales.x.min, this.plot.scales.x.max] : null;
        this.data = data;
        this.draw(range);
    }

    draw(range) {
        if (this.plot)
            this.plot.destroy();
        this.host.textContent = '';
        const d = this.data, n = d.x.length, down = !!this.unit.down, at = i => down ? n - 1 - i : i;
        const take = f => Array.from({ length: n }, (_, i) => { const v = f(at(i)); return Number.isFinite(v) ? v : null; });
        const columns = [take(i => this.unit.of(d.x[i])), take(i => d.observed[i])];
        const series = [{}, { label: 'observed', stroke: css('--dots'), width: 0, paths: () => null, points: { show: true, size: 3, width: 0, fill: css('--dots') } }];
        const has = d.calculated && d.calculated.some(Number.isFinite);
        if (!has)
            series[1] = { label: 'observed', stroke: INK[0], width: 1, points: { show: false } };
        if (has) {
            let low = Infinity, high = -Infinity, most = 0;
            for (let i = 0; i < n; i++) {
                if (Number.isFinite(d.observed[i])) {
                    low = Math.min(low, d.observed[i], Number.isFinite(d.calculated[i]) ? d.calculated[i] : Infinity);
                    high = Math.max(high, d.observed[i]);
                }
                const rest = Math.abs(d.observed[i] - d.calculated[i]);
                if (rest > most) most = rest;
            }
            this.shift = this.scale === 'linear' ? low - Math.max(1.2 * most, 0.07 * (high - low)) : 0;
            columns.push(take(i => d.calculated[i]));
            series.push({ label: 'calculated', stroke: INK[1], width: 1.5, points: { show: false } });
            if (d.background) {
                columns.push(take(i => d.background[i]));
                series.push({ label: 'background', stroke: INK[2], width: 1, dash: [4, 3], points: { show: false } });
            }
            if (this.scale === 'linear') {
                columns.push(take(i => d.observed[i] - d.calculated[i] + this.shift));
                series.push({ label: 'difference', stroke: INK[7], width: 1, points: { show: false } });
            }
        }
        const rows = (d.ticks || []).length;
        this.plot = new uPlot({
            width: Math.max(this.host.clientWidth, 200), height: 380, legend: { show: false },
            padding: [8, 12, 0, 0],
            scales: { x: { time: false, dir: down ? -1 : 1 }, y: yScale(this.scale) },
            series, cursor: { drag: { x: true, y: false }, points: { show: false } },
            axes: [axisStyle({ label: this.unit.label, size: 34 + 12 * rows, labelSize: 20, gap: 5 + 12 * rows }), axisStyle({ size: 68, label: d.label || 'Intensity', labelSize: 20, ...yTicks(this.scale, rows > 0) })],
            hooks: { setCursor: [u => this.read(u)], setSelect: [u => this.selected(u)], draw: [u => this.drawTicks(u)] }
        }, columns, this.host);
        addHandling(this.plot, this.host);
        this.host.append(keysOf(series.slice(1).map(s => [s.stroke, s.label])));
        this.plot.over.addEventListener('click', event => this.marking && this.onpeak && this.pickAt(this.unit.back(this.plot.posToVal(event.offsetX, 'x'))));
        this.host.setAttribute('aria-label', `${d.name || 'pattern'}: ${n} points; arrow keys read, plus and minus zoom, 0 shows all`);
        this.host.setAttribute('role', 'application');
        if (range)
            this.plot.setScale('x', { min: range[0], max: range[1] });
        this.setMarking(this.marking);
    }

    setMarking(on) {
        this.marking = on;
        if (this.plot)
            this.plot.cursor.drag.setScale = !on;
    }

    selected(u) {
        if (!this.marking || !this.onpeak || !(u.select.width > 4))
            return;
        const a = this.unit.back(u.posToVal(u.select.left, 'x')), b = this.unit.back(u.posToVal(u.select.left + u.select.width, 'x'));
        this.dragged = Date.now();
        u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        this.onpeak(Math.min(a, b), Math.max(a, b));
    }

    pickAt(v) {
        if (Date.now() - (this.dragged || 0) < 300)
            return;
        const [from, to] = peakAround(this.data.x, this.data.observed, nearest(this.data.x, v));
        this.onpeak(from, to);
    }

    drawTicks(u) {
        const { ctx, bbox } = u, ratio = devicePixelRatio || 1;
        ctx.save();
        (this.data.ticks || []).forEach((phase, row) => {
            ctx.strokeStyle = ctx.fillStyle = INK[row % INK.length];
            ctx.lineWidth = ratio;
            const y = bbox.top + bbox.height + (4 + 12 * row) * ratio;
            ctx.beginPath();
            for (const v of phase.x) {
                const x = u.valToPos(this.unit.of(v), 'x', true);
                if (x >= bbox.left && x <= bbox.left + bbox.width) {
                    ctx.moveTo(x, y);
                    ctx.lineTo(x, y + 8 * ratio);
                }
            }
            ctx.stroke();
            ctx.font = `${10 * ratio}px sans-serif`;
            ctx.textAlign = 'right';
            ctx.textBaseline = 'middle';
            ctx.fillText(phase.name.slice(0, 12), bbox.left - 4 * ratio, y + 4 * ratio);
        });
        ctx.restore();
    }

    read(u) {
        const k = u.cursor.idx, d = this.data;
        if (k == null)
            return;
        const i = this.unit.down ? d.x.length - 1 - k : k, parts = [readPosition(this.units, d.x[i]), `observed ${digits(d.observed[i], 6)}`];
        if (d.calculated && Number.isFinite(d.calculated[i]))
            parts.push(`calculated ${digits(d.calculated[i], 6)}`, `difference ${digits(d.observed[i] - d.calculated[i], 4)}` + (d.sigma ? ` (${((d.observed[i] - d.calculated[i]) / d.sigma[i]).toFixed(1)} σ)` : ''));
        const near = nearestTick(d.ticks, d.x[i]);
        if (near)
            parts.push(near);
        this.reading.textContent = parts.join(' · ');
    }
}

function nearestTick(ticks, x) {
    let best = null, far = Infinity;
    for (const phase of ticks || [])
        phase.x.forEach((v, k) => {
            if (Math.abs(v - x) < far) {
                far = Math.abs(v - x);
                best = `${phase.name} ${phase.hkl ? phase.hkl[k] : ''} at ${digits(v, 6)}`;
            }
        });
    return best;
}

/* From the maximum near i outward as long as the flanks fall by more than a hundredth of the
 * height in three points. */
function peakAround(x, y, i) {
    let top = i;
    for (let k = Math.max(0, i - 8); k <= Math.min(x.length - 1, i + 8); k++)
        if (y[k] > y[top] || !Number.isFinite(y[top]))
            top = k;
    const smooth = k => { let s = 0, n = 0; for (let j = k - 2; j <= k + 2; j++) if (Number.isFinite(y[j])) { s += y[j]; n++; } return s / n; };
    const reach = way => {
        let k = top, least = smooth(top), at = top;
        for (; k + way >= 0 && k + way < x.length && Math.abs(k - at) < 4; k += way) {
            const v = smooth(k + way);
            if (v < least - 0.01 * (smooth(top) - v)) { least = v; at = k + way; }
        }
        return at;
    };
    const a = reach(-1), b = reach(1);
    return [x[Math.min(a, top - 2 < 0 ? 0 : top - 2)], x[Math.max(b, Math.min(top + 2, x.length - 1))]];
}

/* --------------------------------------------------------------------- map */

const MARGIN = { left: 62, top: 10, bottom: 46, right: 12, gap: 10, side: 110, bar: 9 };

class Picture {
    /* app: what it shows and whom it tells */
    constructor(app, host) {
        this.app = app;
        this.base = el('canvas', { 'aria-hidden': 'true' });
        this.over = el('canvas', { tabindex: '0', role: 'application', id: 'map',
            'aria-label': 'map of intensities; arrow keys move the cross, Enter shows the frame, plus and minus zoom, 0 shows all, p marks a peak' });
        host.append(this.base, this.over);
        this.host = host;
        this.cross = null;
        this.drag = null;
        this.listen();
        new ResizeObserver(() => this.layout()).observe(host);
    }

    layout() {
        const width = this.host.clientWidth, height = clamp(Math.round(width * 0.55), 320, 640), ratio = devicePixelRatio || 1;
        if (!width)
            return;
        for (const c of [this.base, this.over]) {
            c.width = width * ratio;
            c.height = height * ratio;
            c.style.width = width + 'px';
            c.style.height = height + 'px';
        }
        this.host.style.height = height + 'px';
        const side = this.app.side() && width > 520 ? MARGIN.side : 0, bars = this.app.run.phases.length > 1 ? this.app.run.phases.length * MARGIN.bar + MARGIN.gap : 0;
        this.box = { x: MARGIN.left, y: MARGIN.top, w: width - MARGIN.left - MARGIN.right - (side ? side + MARGIN.gap : 0) - bars, h: height - MARGIN.top - MARGIN.bottom };
        this.bars = { x: this.box.x + this.box.w + MARGIN.gap / 2, w: bars };
        this.side = { x: this.box.x + this.box.w + bars + MARGIN.gap, w: side };
        this.draw();
    }

    still() { this.host.prepend(el('img', { src: this.base.toDataURL(), alt: 'map of intensities', width: this.host.clientWidth })); }

    get u0() { return this.app.unit.of(this.app.view.x0); }
    get u1() { return this.app.unit.of(this.app.view.x1); }
    xAt(px) { return this.app.unit.back(this.u0 + (this.u1 - this.u0) * (px - this.box.x) / this.box.w); }
    pxOf(x) { return this.box.x + (this.app.unit.of(x) - this.u0) / (this.u1 - this.u0) * this.box.w; }
    tAt(py) { const v = this.app.view; return v.t1 - (v.t1 - v.t0) * (py - this.box.y) / this.box.h; }
    pyOf(t) { const v = this.app.view; return this.box.y + (v.t1 - t) / (v.t1 - v.t0) * this.box.h; }

    draw() {
        if (!this.box)
            return;
        const ratio = devicePixelRatio || 1, g = this.base.getContext('2d');
        g.setTransform(1, 0, 0, 1, 0, 0);
        g.clearRect(0, 0, this.base.width, this.base.height);
        if (this.app.rows())
            this.drawImage(g, ratio);
        g.setTransform(ratio, 0, 0, ratio, 0, 0);
        this.drawAxes(g);
        this.drawBars(g);
        this.drawSide(g);
        this.drawOver();
    }

    /* Every pixel is the mean of what it covers: a coarser level of the picture made when
     * it is needed. */
    drawImage(g, ratio) {
        const b = this.box, w = Math.round(b.w * ratio), h = Math.round(b.h * ratio), { z, low, high } = this.app.plane();
        const x = this.app.run.x, n = x.length, at = this.app.rowAt(), rows = at.length, from = new Int32Array(w), to = new Int32Array(w);
        let before = below(x, this.app.unit.back(this.u0));
        for (let p = 0; p < w; p++) {
            const next = below(x, this.app.unit.back(this.u0 + (this.u1 - this.u0) * (p + 1) / w));
            from[p] = Math.min(before, next);
            to[p] = Math.max(before, next, from[p] + 1);
            before = next;
        }
        const step = this.app.rowStep(), image = g.createImageData(w, h), out = new Uint32Array(image.data.buffer), table = this.app.table(), none = 0;
        const sum = new Float64Array(w), count = new Uint32Array(w), scale = 255 / (high - low);
        let done = -1, doneTo = -1, last = -1;
        for (let p = 0; p < h; p++) {
            const t0 = this.tAt(b.y + (p + 1) / ratio), t1 = this.tAt(b.y + p / ratio), middle = (t0 + t1) / 2;
            let r0 = below(at, t0), r1 = below(at, t1);
            if (r0 === r1 || at[r0] < t0) r0 = r1 > r0 ? r0 + 1 : nearest(at, middle);
            r1 = Math.max(r1, r0);
            if (Math.abs(at[nearest(at, middle)] - middle) > 0.75 * step && r0 === r1)
                continue; /* no frame was taken then */
            if (r0 === done && r1 === doneTo) {
                out.copyWithin(p * w, last * w, (last + 1) * w);
                continue;
            }
            sum.fill(0);
            count.fill(0);
            for (let r = r0; r <= r1 && r < rows; r++)
                for (let q = 0, base = r * n; q < w; q++)
                    for (let i = from[q]; i < to[q]; i++) {
                        const v = z[base + i];
                        if (v === v) { sum[q] += v; count[q]++; }
                    }
            for (let q = 0; q < w; q++)
                out[p * w + q] = count[q] ? table[clamp((sum[q] / count[q] - low) * scale, 0, 255) | 0] : none;
            done = r0;
            doneTo = r1;
            last = p;
        }
        g.putImageData(image, Math.round(b.x * ratio), Math.round(b.y * ratio));
    }

    drawAxes(g) {
        const b = this.box, v = this.app.view;
        g.strokeStyle = g.fillStyle = css('--ink');
        g.lineWidth = 1;
        g.font = '12px sans-serif';
        g.strokeRect(b.x - 0.5, b.y - 0.5, b.w + 1, b.h + 1);
        g.textAlign = 'center';
        g.textBaseline = 'top';
        for (const t of niceTicks(this.u0, this.u1, b.w / 90)) {
            const px = b.x + (t - this.u0) / (this.u1 - this.u0) * b.w;
            this.line(g, px, b.y + b.h, px, b.y + b.h + 5);
            g.fillText(digits(t, 6), px, b.y + b.h + 7);
        }
        g.fillText(this.app.unit.label, b.x + b.w / 2, b.y + b.h + 25);
        g.textAlign = 'right';
        g.textBaseline = 'middle';
        for (const t of niceTicks(v.t0, v.t1, b.h / 50)) {
            const py = this.pyOf(t);
            this.line(g, b.x - 5, py, b.x, py);
            g.fillText(digits(t, 6), b.x - 7, py);
        }
        g.save();
        g.translate(14, b.y + b.h / 2);
        g.rotate(-Math.PI / 2);
        g.textAlign = 'center';
        g.fillText(this.app.along.label, 0, 0);
        g.restore();
    }

    line(g, x0, y0, x1, y1) {
        g.beginPath();
        g.moveTo(x0, y0);
        g.lineTo(x1, y1);
        g.stroke();
    }

    /* When each phase was there. */
    drawBars(g) {
        const run = this.app.run, at = this.app.frameAt(), b = this.box;
        if (!this.bars.w)
            return;
        run.phases.forEach((_, p) => {
            const level = run.array('level', p);
            g.fillStyle = INK[p % INK.length];
            for (let k = 0; k < run.frames; k++) {
                if (!(level[k] > 0))
                    continue;
                const y1 = this.pyOf(at[k] - this.app.frameStep() / 2), y0 = this.pyOf(at[k] + this.app.frameStep() / 2);
                if (y1 > b.y && y0 < b.y + b.h)
                    g.fillRect(this.bars.x + p * MARGIN.bar, Math.max(y0, b.y), MARGIN.bar - 3, Math.max(Math.min(y1, b.y + b.h) - Math.max(y0, b.y), 0.5) + 0.3);
            }
        });
    }

    /* The log beside the map, upright. */
    drawSide(g) {
        const s = this.side, b = this.box, c = this.app.side();
        if (!s.w || !c)
            return;
        let low = Infinity, high = -Infinity;
        for (let k = 0; k < c.y.length; k++)
            if (Number.isFinite(c.y[k])) { low = Math.min(low, c.y[k]); high = Math.max(high, c.y[k]); }
        const pad = (high - low || 1) * 0.06, px = v => s.x + (v - low + pad) / (high - low + 2 * pad) * s.w;
        g.strokeStyle = g.fillStyle = css('--ink');
        g.strokeRect(s.x - 0.5, b.y - 0.5, s.w, b.h + 1);
        g.textAlign = 'center';
        g.textBaseline = 'top';
        for (const t of niceTicks(low - pad, high + pad, 3)) {
            this.line(g, px(t), b.y + b.h, px(t), b.y + b.h + 5);
            g.fillText(digits(t, 4), px(t), b.y + b.h + 7);
        }
        g.fillText(c.label, s.x + s.w / 2, b.y + b.h + 25);
        g.save();
        g.beginPath();
        g.rect(s.x, b.y, s.w, b.h);
        g.clip();
        g.strokeStyle = INK[0];
        g.lineWidth = 1.4;
        g.beginPath();
        let pen = false;
        for (let k = 0; k < c.y.length; k++) {
            if (!Number.isFinite(c.y[k]) || !Number.isFinite(c.t[k])) { pen = false; continue; }
            g[pen ? 'lineTo' : 'moveTo'](px(c.y[k]), this.pyOf(c.t[k]));
            pen = true;
        }
        g.stroke();
        g.restore();
    }

    drawOver() {
        if (!this.box)
            return;
        const g = this.over.getContext('2d'), ratio = devicePixelRatio || 1, b = this.box, app = this.app;
        g.setTransform(ratio, 0, 0, ratio, 0, 0);
        g.clearRect(0, 0, this.over.width, this.over.height);
        g.save();
        g.beginPath();
        g.rect(b.x, b.y, b.w + MARGIN.gap + this.bars.w + this.side.w + 4, b.h);
        g.clip();
        for (const p of app.peaks) {
            const a = this.pxOf(p.from), c = this.pxOf(p.to);
            g.fillStyle = 'rgba(255,255,255,0.18)';
            g.fillRect(Math.min(a, c), b.y, Math.abs(c - a), b.h);
            g.strokeStyle = INK[4];
            this.line(g, a, b.y, a, b.y + b.h);
            this.line(g, c, b.y, c, b.y + b.h);
        }
        if (app.frame != null && app.run.frames) {
            g.strokeStyle = INK[1];
            g.lineWidth = 2;
            const py = this.pyOf(app.frameAt()[app.frame]);
            this.line(g, b.x, py, this.side.x + this.side.w, py);
        }
        if (this.cross) {
            const px = this.pxOf(this.cross.x), py = this.pyOf(this.cross.t);
            g.lineWidth = 1;
            for (const [colour, dash] of [['#000', []], ['#fff', [4, 4]]]) {
                g.strokeStyle = colour;
                g.setLineDash(dash);
                this.line(g, px, b.y, px, b.y + b.h);
                this.line(g, b.x, py, this.side.x + this.side.w, py);
            }
            g.setLineDash([]);
        }
        if (this.drag && this.drag.moved) {
            g.fillStyle = 'rgba(255,255,255,0.25)';
            g.strokeStyle = '#fff';
            const { x0, y0, x1, y1 } = this.drag, whole = app.marking;
            g.fillRect(x0, whole ? b.y : y0, x1 - x0, whole ? b.h : y1 - y0);
            g.strokeRect(x0, whole ? b.y : y0, x1 - x0, whole ? b.h : y1 - y0);
        }
        g.restore();
    }

    inside(px, py) { const b = this.box; return px >= b.x && px <= b.x + b.w && py >= b.y && py <= b.y + b.h; }

    listen() {
        const o = this.over, at = event => { const r = o.getBoundingClientRect(); return [event.clientX - r.left, event.clientY - r.top]; };
        o.addEventListener('pointermove', event => {
            const [px, py] = at(event);
            if (this.drag) {
                const b = this.box;
                this.drag.x1 = clamp(px, b.x, b.x + b.w);
                this.drag.y1 = clamp(py, b.y, b.y + b.h);
                this.drag.moved = this.drag.moved || Math.hypot(this.drag.x1 - this.drag.x0, this.drag.y1 - this.drag.y0) > 6;
            }
            if (this.box && this.inside(px, py)) {
                this.cross = { x: this.xAt(px), t: this.tAt(py) };
                this.app.hover(this.cross.x, this.cross.t);
            }
            this.drawOver();
        });
        o.addEventListener('pointerleave', () => { if (!this.drag) { this.cross = null; this.drawOver(); } });
        o.addEventListener('pointerdown', event => {
            const [px, py] = at(event);
            if (event.button || !this.inside(px, py))
                return;
            this.drag = { x0: px, y0: py, x1: px, y1: py, moved: false };
            try { o.setPointerCapture(event.pointerId); } catch { /* an event that was made, not meant */ }
        });
        o.addEventListener('pointerup', () => this.drop());
        o.addEventListener('pointercancel', () => { this.drag = null; this.drawOver(); });
        o.addEventListener('dblclick', () => this.app.showAll());
        o.addEventListener('wheel', event => {
            const [px, py] = at(event);
            if (!this.inside(px, py))
                return;
            event.preventDefault();
            this.app.zoom(event.deltaY < 0 ? 0.8 : 1.25, this.xAt(px), this.tAt(py), event.shiftKey ? 'x' : event.altKey ? 't' : 'both');
        }, { passive: false });
        o.addEventListener('keydown', event => this.key(event));
        o.addEventListener('focus', () => { if (!this.cross && this.box) { const v = this.app.view; this.cross = { x: (v.x0 + v.x1) / 2, t: (v.t0 + v.t1) / 2 }; this.moveCross(0, 0); } });
    }

    drop() {
        const d = this.drag;
        this.drag = null;
        if (!d)
            return;
        if (this.app.marking && d.moved)
            this.app.addPeak(this.xAt(Math.min(d.x0, d.x1)), this.xAt(Math.max(d.x0, d.x1)));
        else if (this.app.marking)
            this.app.markAt(this.xAt(d.x0), this.tAt(d.y0));
        else if (d.moved)
            this.app.setView({ x0: this.xAt(Math.min(d.x0, d.x1)), x1: this.xAt(Math.max(d.x0, d.x1)), t0: this.tAt(Math.max(d.y0, d.y1)), t1: this.tAt(Math.min(d.y0, d.y1)) });
        else
            this.app.select(this.app.frameNear(this.tAt(d.y0)));
        this.drawOver();
    }

    moveCross(dx, frames) {
        const b = this.box, at = this.app.frameAt(), k = this.app.frameNear(this.cross.t) + frames;
        this.cross.x = this.xAt(clamp(this.pxOf(this.cross.x) + dx, b.x, b.x + b.w));
        if (at.length)
            this.cross.t = clamp(at[clamp(k, 0, at.length - 1)], this.app.view.t0, this.app.view.t1);
        this.app.hover(this.cross.x, this.cross.t);
        this.drawOver();
    }

    key(event) {
        const many = event.shiftKey ? 10 : 1, move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
        if (move && this.cross)
            this.moveCross(2 * many * move[0], many * move[1]);
        else if (event.key === 'Enter' && this.cross)
            this.app.select(this.app.frameNear(this.cross.t));
        else if ((event.key === '+' || event.key === '-') && this.cross)
            this.app.zoom(event.key === '+' ? 0.6 : 1 / 0.6, this.cross.x, this.cross.t, 'both');
        else if (event.key === '0' || event.key === 'Escape')
            this.app.showAll();
        else if (event.key === 'p' && this.cross)
            this.app.markAt(this.cross.x, this.cross.t);
        else
            return;
        event.preventDefault();
    }
}

/* --------------------------------------------------------------------- run */

/* Frames, their quantities, and the map: from the page itself or from the server. */
class Run {
    constructor(about, arrays) {
        Object.assign(this, { title: about.title, wavelength: about.wavelength, phases: about.phases, columns: about.columns, statuses: about.statuses, frames: about.frames,
                              each: about.each || 1, low: about.low, high: about.high });
        this.x = arrays.x;
        this.a = arrays;
        this.files = about.files || [];
        this.observed = arrays.observed || new Uint16Array(0);
        this.calculated = arrays.calculated || null;
        this.room = this.frames;
        this.value = valuesOf(about.low, about.high);
    }

    get rows() { return Math.ceil(this.frames / this.each); }
    array(name, which) { return this.a[which == null ? name : name + which]; }

    /* Frames of a live run come one by one into arrays that double. */
    reserve(n) {
        if (n > this.room || !this.a.status) {
            const room = Math.max(n, 2 * this.room, 64), grow = (old, type, size, fill) => { const b = new type(room * size).fill(fill); if (old) b.set(old.subarray(0, this.frames * size)); return b; };
            for (const name of ['time', ...this.columns.map((_, k) => 'c' + k), ...this.columns.map((_, k) => 'e' + k), ...this.phases.map((_, p) => 'level' + p)])
                this.a[name] = grow(this.a[name], Float64Array, 1, NaN);
            this.a.status = grow(this.a.status, Uint8Array, 1, 0);
            this.observed = grow(this.observed, Uint16Array, this.x.length, 0);
            this.room = room;
        }
        this.frames = Math.max(this.frames, n);
    }

    take(about, part) {
        const n = this.x.length;
        part.index.forEach((k, i) => {
            this.reserve(k + 1);
            this.a.time[k] = part.time[i];
            this.a.status[k] = part.status[i];
            this.columns.forEach((_, c) => {
                this.a['c' + c][k] = part.values[i * 2 * this.columns.length + 2 * c];
                this.a['e' + c][k] = part.values[i * 2 * this.columns.length + 2 * c + 1];
            });
            this.phases.forEach((_, p) => { this.a['level' + p][k] = part.levels[i * this.phases.length + p]; });
            this.observed.set(part.observed.subarray(i * n, (i + 1) * n), k * n);
            this.files[k] = about.files[i];
        });
    }
}

/* --------------------------------------------------------------------- app */

class App {
    constructor(run, body) {
        this.run = run;
        this.units = unitsOf('tth', run.wavelength);
        this.unit = this.units[0];
        this.scale = 'sqrt';
        this.what = 'observed';
        this.bright = 100;
        this.peaks = [];
        this.charts = [];
        this.marking = false;
        this.frame = null;
        this.body = body;
        this.alongs = this.axes();
        this.along = this.alongs[0];
        this.build();
        this.showAll();
        if (run.frames)
            this.select(0);
    }

    /* Time, where all frames have one that rises; else the frame's number. */
    axes() {
        const run = this.run, list = [], t = run.a.time;
        let rising = run.frames > 1;
        for (let k = 0; k < run.frames && rising; k++)
            rising = Number.isFinite(t[k]) && (!k || t[k] > t[k - 1]);
        if (rising) {
            const span = t[run.frames - 1] - t[0], start = t[0] > 1e8 ? t[0] : 0, [unit, name] = span > 10800 ? [3600, 'h'] : span > 180 ? [60, 'min'] : [1, 's'];
            list.push({ key: 'time', label: `Time (${name})`, unit: name, at: Float64Array.from({ length: run.frames }, (_, k) => (t[k] - start) / unit), per: unit });
        }
        list.push({ key: 'frame', label: 'Frame', at: Float64Array.from({ length: run.frames }, (_, k) => k) });
        return list;
    }

    frameAt() { return this.along.at; }
    frameStep() { return this.medianStep(this.along.at); }
    rows() { return this.run.rows; }
    rowAt() {
        const { each, frames } = this.run, at = this.along.at;
        return this.along.rows || (this.along.rows = Float64Array.from({ length: this.run.rows }, (_, r) => (at[r * each] + at[Math.min((r + 1) * each, frames) - 1]) / 2));
    }
    rowStep() { return this.along.step || (this.along.step = this.medianStep(this.rowAt())); }
    medianStep(list) {
        const steps = Array.from(list).slice(1).map((v, k) => v - list[k]).sort((a, b) => a - b);
        return steps.length ? 1.05 * steps[Math.min(steps.length - 1, Math.floor(steps.length * 0.8))] : 1;
    }
    frameNear(t) { return this.along.at.length ? nearest(this.along.at, t) : 0; }

    columnNamed(name) { return this.run.columns.findIndex(c => c.name === name); }

    /* Voltage or else temperature, upright beside the map. */
    side() {
        const run = this.run;
        for (const [name, log] of [['voltage', 'log_v'], ['temperature', 'log_k']]) {
            const k = this.columnNamed(name);
            if (this.along.key === 'time' && run.a[log] && run.a[log].some(Number.isFinite))
                return { label: name === 'voltage' ? 'Voltage (V)' : 'T (K)', y: run.a[log], t: run.a.log_t.map(v => v / this.along.per) };
            if (k >= 0 && run.a['c' + k] && run.a['c' + k].some(Number.isFinite))
                return { label: name === 'voltage' ? 'Voltage (V)' : 'T (K)', y: run.a['c' + k].subarray(0, run.frames), t: this.along.at };
        }
        return null;
    }

    /* The map's values on the chosen scale, and the ends of its colours. */
    plane() {
        const key = `${this.scale} ${this.what}`, run = this.run, n = run.rows * run.x.length, of = SCALES[this.scale].of;
        if (!this.z || this.zKey !== key || this.zDone < n) {
            const start = this.zKey === key && this.zDone > 0 && this.z ? this.zDone : 0, old = this.z;
            if (!old || old.length < n) {
                this.z = new Float32Array(Math.max(n, run.observed.length));
                if (start) this.z.set(old.subarray(0, start));
            }
            const table = run.value.map(of), signed = this.what === 'difference';
            for (let i = start; i < n; i++)
                this.z[i] = signed ? signedRoot(run.value[run.observed[i]] - run.value[run.calculated[i]]) : table[run.observed[i]];
            this.zKey = key;
            this.zDone = n;
            const sample = [];
            for (let i = 0, every = Math.max(1, Math.floor(n / 60000)); i < n; i += every)
                if (this.z[i] === this.z[i])
                    sample.push(this.z[i]);
            sample.sort((a, b) => a - b);
            this.ends = sample.length ? [sample[Math.floor(sample.length / 200)], sample[sample.length - 1 - Math.floor(sample.length / 500)]] : [0, 1];
            if (signed) {
                const most = Math.max(Math.abs(this.ends[0]), Math.abs(this.ends[1])) || 1;
                this.ends = [-most, most];
            }
        }
        let [low, high] = this.ends;
        const share = this.bright / 100;
        if (this.what === 'difference') { low *= share; high *= share; } else high = low + (high - low) * share;
        return { z: this.z, low, high: high > low ? high : low + 1 };
    }

    table() { return this.what === 'difference' ? this.run.a.diverging : this.run.a.colours; }

    redraw() { if (this.picture) this.picture.draw(); }

    build() {
        const choose = (label, list, on) => el('label', {}, label + ' ', el('select', { onchange: event => on(event.target.value) }, ...list.map(([value, text]) => el('option', { value }, text))));
        this.reading = el('output', { id: 'reading', 'aria-live': 'polite' }, 'Point at the map to read; click a frame to see its fit; drag to zoom, double-click to see all.');
        this.markButton = el('button', { type: 'button', 'aria-pressed': 'false', id: 'mark', onclick: () => this.setMarking(!this.marking) }, 'Select a peak');
        this.controls = el('div', { class: 'controls', role: 'toolbar', 'aria-label': 'view' },
            choose('Axis', this.units.map(u => [u.key, u.label]), key => { this.unit = this.units.find(u => u.key === key); this.pattern.unit = this.unit; this.redraw(); if (this.pattern.data) this.pattern.draw(); }),
            this.alongSelect = choose('Upright', this.alongs.map(a => [a.key, a.label]), key => { this.along = this.alongs.find(a => a.key === key); this.chosen = true; this.showAll(); this.picture.layout(); this.drawCharts(); }),
            choose('Scale', [['sqrt', 'square root'], ['linear', 'linear'], ['log', 'logarithmic']], key => { this.scale = key; this.pattern.scale = key; this.redraw(); if (this.pattern.data) this.pattern.draw(); }),
            ...(this.run.calculated ? [choose('Show', [['observed', 'observed'], ['difference', 'observed − calculated']], key => { this.what = key; this.redraw(); })] : []),
            el('label', {}, 'Colours to ', el('input', { type: 'range', min: 2, max: 100, value: 100, 'aria-label': 'upper end of the colours, per cent', oninput: event => { this.bright = Number(event.target.value); this.redraw(); } })),
            this.markButton,
            el('button', { type: 'button', id: 'all', onclick: () => this.showAll() }, 'Show all'));
        this.mapHost = el('div', { class: 'map' });
        this.frameHead = el('h3', { id: 'frame' });
        this.frameTable = el('div', { class: 'quantities' });
        this.slider = el('input', { type: 'range', min: 0, max: Math.max(this.run.frames - 1, 0), value: 0, 'aria-label': 'frame', id: 'slider', oninput: event => this.select(Number(event.target.value)) });
        this.patternHost = el('div', { class: 'chart' });
        this.patternReading = el('output', { 'aria-live': 'off', id: 'pattern-reading' });
        this.peakList = el('ul', { class: 'peaks' });
        this.chartHost = el('div', { class: 'charts' });
        this.chooser = el('fieldset', { class: 'controls' }, el('legend', {}, 'Show'));
        this.body.append(this.controls, this.mapHost, this.legend(), this.reading, this.frameHead,
            el('div', { class: 'controls' }, el('button', { type: 'button', 'aria-label': 'previous frame', onclick: () => this.select(this.frame - 1) }, '‹'), this.slider, el('button', { type: 'button', 'aria-label': 'next frame', onclick: () => this.select(this.frame + 1) }, '›')),
            this.patternHost, this.patternReading, this.frameTable, el('h3', {}, 'Courses'), this.chooser, this.peakList, this.chartHost);
        this.pattern = new Pattern(this.patternHost, this.patternReading, this.units, (a, b) => this.addPeak(a, b));
        this.pattern.scale = this.scale;
        this.picture = new Picture(this, this.mapHost);
        this.makeGroups();
        this.view = { x0: this.run.x[0], x1: this.run.x[this.run.x.length - 1], t0: 0, t1: 1 };
        this.picture.layout();
    }

    legend() {
        if (this.run.phases.length < 2)
            return el('span');
        return keysOf(this.run.phases.map((name, p) => [INK[p % INK.length], name]));
    }

    setMarking(on) {
        this.marking = on;
        this.markButton.setAttribute('aria-pressed', String(on));
        this.pattern.setMarking(on);
        this.mapHost.classList.toggle('marking', on);
        if (on)
            this.reading.textContent = 'Drag over a peak, or click it, on the map or in the pattern.';
    }

    showAll() {
        const at = this.along.at, half = this.frameStep() / 2, n = at.length;
        this.followAll = true;
        this.view = { x0: this.run.x[0], x1: this.run.x[this.run.x.length - 1], t0: n ? at[0] - half : 0, t1: n ? at[n - 1] + half : 1 };
        this.redraw();
    }

    setView(view) {
        const x = this.run.x, step = this.frameStep(), at = this.along.at;
        this.followAll = false;
        let { x0, x1, t0, t1 } = view;
        x0 = Math.max(x0, x[0]);
        x1 = Math.min(x1, x[x.length - 1]);
        t0 = Math.max(t0, at[0] - step);
        t1 = Math.min(t1, at[at.length - 1] + step);
        if (!(x1 - x0 > 3 * (x[1] - x[0])) || !(t1 - t0 > 0.9 * step))
            return;
        this.view = { x0, x1, t0, t1 };
        this.redraw();
        this.tellView();
    }

    tellView() { this.mapHost.dataset.view = ['x0', 'x1', 't0', 't1'].map(k => digits(this.view[k], 7)).join(' '); }

    zoom(f, x, t, which) {
        const v = this.view, next = { ...v };
        if (which !== 't') { next.x0 = x - (x - v.x0) * f; next.x1 = x + (v.x1 - x) * f; }
        if (which !== 'x') { next.t0 = t - (t - v.t0) * f; next.t1 = t + (v.t1 - t) * f; }
        this.setView(next);
    }

    /* "frame 12 (00013.xye), 3.4 h, 0.612 V" */
    where(k) {
        const run = this.run, parts = [`frame ${k}` + (run.files[k] ? ` (${run.files[k]})` : '')];
        const time = this.alongs.find(a => a.key === 'time');
        if (time)
            parts.push(timeText(time.at[k] * time.per, time.per, this.medianStep(time.at) * time.per));
        for (const [name, places, unit] of [['voltage', 3, 'V'], ['temperature', 1, 'K'], ['capacity', 1, 'mAh/g']]) {
            const c = this.columnNamed(name), v = c >= 0 ? run.a['c' + c][k] : NaN;
            if (Number.isFinite(v))
                parts.push(`${v.toFixed(places)} ${unit}`);
        }
        return parts.join(', ');
    }

    hover(x, t) {
        const k = this.frameNear(t), run = this.run, i = nearest(run.x, x), v = run.value[run.observed[Math.floor(k / run.each) * run.x.length + i]];
        this.reading.textContent = `${readPosition(this.units, x)} · ${this.where(k)} · intensity ${digits(v, 4)}`;
        for (const c of this.charts)
            if (c.plot && c.frames)
                c.plot.setCursor({ left: c.plot.valToPos(c.plot.data[0][Math.min(k, c.plot.data[0].length - 1)], 'x'), top: -10 }, false);
    }

    async select(k) {
        const run = this.run;
        if (!run.frames)
            return;
        k = clamp(k, 0, run.frames - 1);
        this.frame = k;
        this.slider.max = run.frames - 1;
        this.slider.value = k;
        const r = Math.floor(k / run.each), n = run.x.length, first = r * run.each, last = Math.min(first + run.each, run.frames) - 1;
        const mean = run.each > 1 && !this.fetchFrame ? `; pattern: mean of frames ${first} to ${last}` : '';
        this.frameHead.textContent = `${this.where(k)[0].toUpperCase()}${this.where(k).slice(1)}: ${run.statuses[run.a.status[k]]}${mean}`;
        const part = codes => codes ? Array.from(codes.subarray(r * n, (r + 1) * n), c => run.value[c]) : null;
        let data = { name: `frame ${k}`, x: run.x, observed: part(run.observed), calculated: part(run.calculated), ticks: [] };
        if (this.fetchFrame) {
            const exact = await this.fetchFrame(k).catch(() => null);
            if (this.frame !== k)
                return;
            data = exact ? { ...data, ...exact } : data;
        }
        this.pattern.show(data, true);
        this.showQuantities(k);
        this.picture.drawOver();
    }

    showQuantities(k) {
        const run = this.run, rows = run.columns.map((c, i) => [c, run.a['c' + i][k], run.a['e' + i][k]]).filter(([c, v]) => Number.isFinite(v) && !['log', 'background'].includes(c.group));
        this.frameTable.replaceChildren(...rows.map(([c, v, e]) => el('span', {}, el('b', {}, c.label), ` ${quantity(v, e, 4, c.unit)}`)));
    }

    /* ---- peaks */

    markAt(x, t) {
        const run = this.run, r = Math.floor(this.frameNear(t) / run.each), n = run.x.length;
        const y = Array.from(run.observed.subarray(r * n, (r + 1) * n), c => run.value[c]);
        const [a, b] = peakAround(run.x, y, nearest(run.x, x));
        this.addPeak(a, b);
    }

    addPeak(from, to) {
        const run = this.run, i0 = below(run.x, from), i1 = Math.max(below(run.x, to), i0 + 4);
        if (i1 >= run.x.length)
            return;
        const peak = { from: run.x[i0], to: run.x[i1], name: `${run.x[i0].toFixed(2)}–${run.x[i1].toFixed(2)}°` };
        this.peaks.push(peak);
        this.setMarking(false);
        this.measurePeak(peak);
        const item = el('li', {}, `Peak at ${peak.name} `, el('button', { type: 'button', 'aria-label': `remove peak ${peak.name}`, onclick: () => {
            this.peaks = this.peaks.filter(p => p !== peak);
            this.groups = this.groups.filter(g => g.peak !== peak);
            item.remove();
            this.drawCharts();
            this.picture.drawOver();
        } }, '×'));
        this.peakList.append(item);
        this.reading.textContent = `Peak at ${peak.name}: its area, position and width stand under Courses.`;
        this.drawCharts();
        this.picture.drawOver();
    }

    /* Above the straight line between its feet: area, centre of mass, and 2.355 times the
     * spread, each a row of the map. */
    measurePeak(peak) {
        const run = this.run, n = run.x.length, i0 = nearest(run.x, peak.from), i1 = nearest(run.x, peak.to), x = run.x;
        const area = [], centre = [], width = [], foot = (base, i) => { let s = 0; for (let j = -1; j <= 1; j++) s += run.value[run.observed[base + clamp(i + j, 0, n - 1)]]; return s / 3; };
        for (let r = 0; r < run.rows; r++) {
            const base = r * n, a = foot(base, i0), b = foot(base, i1);
            let s = 0, sx = 0, sxx = 0;
            for (let i = i0; i <= i1; i++) {
                const w = (x[Math.min(i + 1, n - 1)] - x[Math.max(i - 1, 0)]) / 2, v = (run.value[run.observed[base + i]] - a - (b - a) * (x[i] - x[i0]) / (x[i1] - x[i0])) * w;
                s += v;
                sx += v * (x[i] - x[i0]);
                sxx += v * (x[i] - x[i0]) ** 2;
            }
            const good = s > 0, c = sx / s;
            area.push(s);
            centre.push(good && c > 0 && c < x[i1] - x[i0] ? x[i0] + c : NaN);
            width.push(good && sxx / s - c * c > 0 ? 2.355 * Math.sqrt(sxx / s - c * c) : NaN);
        }
        for (const [label, y] of [['area', area], ['position (°)', centre], ['width (°)', width]])
            this.groups.push({ key: `peak ${peak.name} ${label}`, label: `${peak.name} ${label}`, peak, rows: true, on: label !== 'width (°)', series: [{ label, y }] });
    }

    /* ---- courses */

    makeGroups() {
        const names = { fraction: 'Weight fraction (%)', log: 'Log', fit: 'Fit' }, run = this.run;
        this.groups = [];
        run.columns.forEach((c, k) => {
            if (c.group === 'background')
                return;
            const together = c.group === 'fraction', key = together ? 'fraction' : c.name;
            let group = this.groups.find(g => g.key === key);
            if (!group)
                this.groups.push(group = { key, label: names[together ? 'fraction' : ''] || `${c.label}${c.unit ? ` (${c.unit})` : ''}`, series: [], on: together || c.name === 'voltage' || c.name === 'rwp' || (c.group === 'volume') });
            group.series.push({ label: together ? c.phase : c.label, column: k });
        });
        for (const g of this.groups)
            this.chooser.append(g.choice = el('label', {}, el('input', { type: 'checkbox', checked: g.on, onchange: event => { g.on = event.target.checked; this.drawCharts(); } }), ` ${g.label}`));
        this.offer();
    }

    /* Only what has a number: what is tied or held has none, nor has what did not come yet. */
    offer() {
        for (const g of this.groups.filter(g => g.choice))
            g.choice.hidden = !g.series.some(s => this.run.a['c' + s.column]?.subarray(0, this.run.frames).some(Number.isFinite));
    }

    drawCharts() {
        for (const c of this.charts)
            if (c.plot)
                c.plot.destroy();
        this.charts = [];
        this.chartHost.textContent = '';
        for (const g of this.groups.filter(g => g.on))
            this.addChart(g);
    }

    addChart(g) {
        const run = this.run, x = Array.from(g.rows ? this.rowAt() : this.along.at), columns = [x], series = [{}], bands = [];
        let any = false;
        g.series.forEach((s, k) => {
            const ink = INK[g.key === 'fraction' ? run.phases.indexOf(s.label) % INK.length : k], y = s.y || run.a['c' + s.column], e = s.column == null ? null : run.a['e' + s.column];
            const clean = Array.from({ length: x.length }, (_, i) => Number.isFinite(y[i]) ? y[i] : null);
            if (!clean.some(v => v != null))
                return;
            any = true;
            columns.push(clean);
            series.push({ label: s.label, stroke: ink, width: 1.5, points: { size: 4 } });
            if (e && e.some(v => v > 0)) {
                for (const way of [1, -1]) {
                    columns.push(clean.map((v, i) => v != null && e[i] > 0 ? v + way * e[i] : null));
                    series.push({ stroke: 'transparent', width: 0, points: { show: false }, label: '', auto: false });
                }
                bands.push({ series: [series.length - 2, series.length - 1], fill: ink + '40' });
            }
        });
        if (!any)
            return;
        const host = el('div', { class: 'chart', role: 'application', 'aria-label': `${g.label} over ${this.along.label}; arrow keys read, Enter shows the frame` });
        this.chartHost.append(host);
        const entry = { frames: !g.rows, plot: null };
        const pick = k => this.select(g.rows ? k * run.each : k);
        entry.plot = new uPlot({
            width: Math.max(host.clientWidth, 200), height: 190, bands, legend: { show: false },
            scales: { x: { time: false }, y: g.key === 'fraction' ? { range: shareRange } : {} }, series, cursor: { drag: { x: true, y: false }, sync: { key: 'frames' }, points: { size: 6 } },
            axes: [axisStyle({ label: this.along.label, size: 32, labelSize: 18 }), axisStyle({ size: 68, label: g.label, labelSize: 18 })],
            hooks: { setCursor: [u => this.readCourse(u, g)] }
        }, columns, host);
        if (g.series.length > 1)
            host.append(keysOf(series.filter(t => t.label).map(t => [t.stroke, t.label])));
        const over = entry.plot.over;
        let downAt = null;
        over.addEventListener('mousedown', event => { downAt = [event.offsetX, event.offsetY]; });
        over.addEventListener('click', event => { if (entry.plot.cursor.idx != null && downAt && Math.abs(event.offsetX - downAt[0]) < 4) pick(entry.plot.cursor.idx); });
        addHandling(entry.plot, host, pick);
        new ResizeObserver(() => host.clientWidth > 0 && host.clientWidth !== entry.plot.width && entry.plot.setSize({ width: host.clientWidth, height: 190 })).observe(host);
        this.charts.push(entry);
    }

    readCourse(u, g) {
        const k = u.cursor.idx;
        if (k == null || !(u.cursor.event || document.activeElement === u.root.parentElement))
            return;
        const frame = g.rows ? k * this.run.each : k, values = g.series.map(s => {
            const y = s.y || this.run.a['c' + s.column], e = s.column == null ? NaN : this.run.a['e' + s.column][k];
            return `${s.label} ${determined(y[k], e, s.column == null ? '' : this.run.columns[s.column].unit) ? withEsd(y[k], e) : 'not determined'}`;
        });
        this.reading.textContent = `${this.where(frame)} · ${values.join(', ')}`;
        if (this.picture && this.run.frames) {
            this.picture.cross = { x: (this.view.x0 + this.view.x1) / 2, t: this.along.at[frame] };
            this.picture.drawOver();
        }
    }

    refreshTheme() {
        inkAgain();
        this.redraw();
        if (this.pattern.data)
            this.pattern.draw();
        this.drawCharts();
    }

    /* New frames have come. */
    grown() {
        const key = this.along.key, all = this.followAll;
        this.alongs = this.axes();
        const select = this.alongSelect.querySelector('select');
        if (select.options.length !== this.alongs.length)
            select.replaceChildren(...this.alongs.map(a => el('option', { value: a.key }, a.label)));
        this.along = this.chosen && this.alongs.find(a => a.key === key) || this.alongs[0]; /* time, once there is one */
        select.value = this.along.key;
        this.slider.max = Math.max(this.run.frames - 1, 0);
        for (const p of this.peaks) {
            const on = this.groups.filter(g => g.peak === p && g.on).map(g => g.label);
            this.groups = this.groups.filter(g => g.peak !== p);
            this.measurePeak(p);
            for (const g of this.groups.filter(q => q.peak === p)) g.on = on.includes(g.label);
        }
        if (all)
            this.showAll();
        this.picture.layout();
        this.offer();
        this.drawCharts();
    }
}

/* -------------------------------------------------------------- single fits */

/* Curves of a refinement or of a pair distribution function, one shown at a time. */
class Fits {
    constructor(about, arrays, body) {
        const chosen = el('select', { 'aria-label': 'curve', onchange: event => this.show(Number(event.target.value)) }, ...about.curves.map((c, k) => el('option', { value: k }, c.name || 'fit')));
        this.about = about;
        this.arrays = arrays;
        this.reading = el('output', { id: 'reading', 'aria-live': 'polite' }, 'Point at the curve to read; drag or turn the wheel to zoom, double-click to see all.');
        this.host = el('div', { class: 'chart' });
        this.peaks = el('ul', { class: 'peaks' });
        this.units = unitsOf(about.axis, about.wavelength);
        this.mark = el('button', { type: 'button', id: 'mark', 'aria-pressed': 'false', onclick: () => this.setMarking(!this.pattern.marking) }, 'Select a peak');
        const scale = el('select', { onchange: event => { this.pattern.scale = event.target.value; this.pattern.draw(); } }, ...[['linear', 'linear'], ['sqrt', 'square root'], ...(about.axis === 'r' ? [] : [['log', 'logarithmic']])].map(([value, text]) => el('option', { value }, text)));
        body.append(el('div', { class: 'controls', role: 'toolbar', 'aria-label': 'view' },
            ...(about.curves.length > 1 ? [el('label', {}, 'Curve ', chosen)] : []),
            ...(this.units.length > 1 ? [el('label', {}, 'Axis ', el('select', { onchange: event => { this.pattern.unit = this.units.find(u => u.key === event.target.value); this.pattern.draw(); } }, ...this.units.map(u => el('option', { value: u.key }, u.label))))] : []),
            el('label', {}, 'Scale ', scale), this.mark), this.host, this.reading, this.peaks);
        this.pattern = new Pattern(this.host, this.reading, this.units, (a, b) => this.measure(a, b));
        this.show(0);
    }

    setMarking(on) {
        this.pattern.setMarking(on);
        this.mark.setAttribute('aria-pressed', String(on));
    }

    show(k) {
        const c = this.about.curves[k], a = name => this.arrays[name + k];
        this.pattern.show({ name: c.name, label: this.about.label, x: a('x'), observed: a('observed'), calculated: a('calculated'), background: a('background'), sigma: a('sigma'),
                            ticks: (c.phases || []).map((p, j) => ({ name: p.name, x: Array.from(this.arrays[`ticks${k}_${j}`]), hkl: p.hkl })) });
    }

    /* Numbers between two feet. */
    measure(from, to) {
        const d = this.pattern.data, i0 = below(d.x, from), i1 = Math.max(below(d.x, to), i0 + 3), line = (y, i) => y[i0] + (y[i1] - y[i0]) * (d.x[i] - d.x[i0]) / (d.x[i1] - d.x[i0]);
        const moments = y => { let s = 0, sx = 0; for (let i = i0; i <= i1; i++) { const w = (d.x[Math.min(i + 1, d.x.length - 1)] - d.x[Math.max(i - 1, 0)]) / 2, v = (y[i] - line(y, i)) * w; s += v; sx += v * d.x[i]; } return [s, sx / s]; };
        if (i1 >= d.x.length)
            return;
        const [area, at] = moments(d.observed), [model] = d.calculated ? moments(d.calculated) : [NaN];
        this.setMarking(false);
        this.peaks.append(el('li', {}, `Between ${digits(d.x[i0], 6)} and ${digits(d.x[i1], 6)}: area ${digits(area, 5)}, calculated ${digits(model, 5)}, centre ${digits(at, 6)} (${readPosition(this.units, at)})`));
    }

    refreshTheme() { inkAgain(); this.pattern.draw(); }
}

/* -------------------------------------------------------------------- start */

function themeButton(app) {
    const button = el('button', { type: 'button', class: 'theme', 'aria-label': 'dark or light', onclick: () => {
        const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
        document.documentElement.dataset.theme = dark ? 'light' : 'dark';
        app.refreshTheme();
    } }, '◐');
    document.body.prepend(button);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => app.refreshTheme());
}

/* Ask for what is new; slower when nothing comes. */
async function live(body, state) {
    let about, arrays;
    while (!about)
        try {
            [about, arrays] = await fetchPack('run');
        } catch (error) {
            state.textContent = 'The run has not begun: this page waits for its first frame.';
            state.title = error.message; // what is there may not be whole yet
            await new Promise(done => setTimeout(done, 2000));
        }
    const run = new Run({ ...about, frames: 0 }, arrays), app = new App(run, body);
    app.fetchFrame = async k => { const [, a] = await fetchPack(`frame?k=${k}`); return { x: a.x, observed: a.observed, calculated: a.calculated, sigma: a.sigma }; };
    themeButton(app);
    window.braggApp = app;
    document.documentElement.dataset.live = 'yes';
    let version = 0;
    const loop = async () => {
        let wait = 1000;
        try {
            const [now, part] = await fetchPack(`changes?after=${version}&epoch=${about.epoch}`);
            if (now.epoch !== about.epoch) {
                location.reload();
                return;
            }
            version = now.version;
            if (part.index.length) {
                const atEnd = (app.frame == null || app.frame >= run.frames - 1);
                run.take(now, part);
                app.zDone = Math.min(app.zDone || 0, Math.min(...part.index) * run.x.length);
                app.grown();
                if (atEnd || part.index.includes(app.frame))
                    app.select(atEnd ? run.frames - 1 : app.frame);
                wait = now.more ? 0 : 400;
            }
            state.textContent = `live: ${run.frames} frames, ${new Date().toLocaleTimeString()}` + (now.preliminary
                ? '. Voltage and temperature are preliminary: the clocks of log and frames are taken as they stand; where their difference is not given, it is estimated when the run ends.' : '');
        } catch (error) {
            state.textContent = `not connected: ${error.message}`;
            wait = 3000;
        }
        setTimeout(loop, document.hidden ? Math.max(wait, 5000) : wait);
    };
    await loop();
}

async function start() {
    const body = document.getElementById('interactive'), about = JSON.parse(document.getElementById('about').textContent);
    if (typeof uPlot === 'undefined' || typeof DecompressionStream === 'undefined' && !about.live)
        return; /* the figures stand below */
    body.hidden = false;
    inkAgain();
    if (about.live) {
        const state = el('p', { id: 'state', role: 'status' }, 'connecting');
        body.append(state);
        await live(body, state);
    } else {
        const text = atob(document.getElementById('bytes').textContent), packed = new Uint8Array(text.length);
        for (let k = 0; k < text.length; k++)
            packed[k] = text.charCodeAt(k);
        const arrays = arraysOf(about, await inflate(packed), 0);
        const app = about.kind === 'series' ? new App(new Run(about, arrays), body) : new Fits(about, arrays, body);
        if (app.drawCharts)
            app.drawCharts();
        themeButton(app);
        window.braggApp = app;
        for (const details of document.querySelectorAll('details.figures'))
            details.open = false;
    }
    document.documentElement.dataset.ready = 'yes';
}
start().catch(error => {
    document.documentElement.dataset.ready = 'no';
    document.getElementById('interactive').append(`The interactive part failed: ${error.message}`);
    throw error;
});
/* On paper the figures made for paper stand instead; a live page has none, and prints what it
 * shows as on light paper. */
let theme;
addEventListener('beforeprint', () => {
    const root = document.documentElement;
    document.querySelectorAll('details.figures').forEach(d => { d.open = true; });
    theme = root.dataset.theme;
    root.dataset.theme = 'light';
    if (!root.dataset.live || !window.braggApp)
        return;
    window.braggApp.refreshTheme();
    window.braggApp.picture.still(); /* what is painted now is not printed whole */
});
addEventListener('afterprint', () => {
    const root = document.documentElement;
    document.querySelectorAll('.map img').forEach(e => e.remove());
    if (theme)
        root.dataset.theme = theme;
    else
        delete root.dataset.theme;
    if (root.dataset.live && window.braggApp)
        window.braggApp.refreshTheme();
});
})();
