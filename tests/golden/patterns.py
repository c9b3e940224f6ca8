#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# Writes patterns.tsv from the raw bytes, by other code than bragg's: python3 patterns.py SHARED/data
import re, struct, sys, zipfile, os
root = sys.argv[1]
F, R, M = 'formats/patterns/', 'rietveld/', 'mixtures/'

def grid(start, step, y):
    return [start + i * step for i in range(len(y))], y

def text(name):
    return open(os.path.join(root, name), encoding='latin-1').read()

def raw(name):
    return open(os.path.join(root, name), 'rb').read()

def fixed_std(name):                       # 10 fields of 8: counters (2), counts (6)
    lines = text(name).splitlines()
    k = next(i for i, l in enumerate(lines) if l.startswith('BANK'))
    w = lines[k].split()
    n = int(w[2])
    y = [float(l[i + 2:i + 8]) for l in lines[k + 1:] for i in range(0, 80, 8) if l[i + 2:i + 8].strip()][:n]
    return grid(float(w[5]) / 100, float(w[6]) / 100, y)

def fxye(name):
    rows = [l.split() for l in text(name).splitlines()]
    k = next(i for i, w in enumerate(rows) if w and w[0] == 'BANK')
    rows = rows[k + 1:k + 1 + int(rows[k][2])]      # 11BM_NAC has a line more than its BANK says
    return [float(w[0]) / 100 for w in rows], [float(w[1]) for w in rows]

def columns(name):                         # whatever begins with a digit
    rows = [re.split(r'[\s,;]+', l.strip()) for l in text(name).splitlines() if re.match(r'\s*[\d.]+\s', l)]
    return [float(w[0]) for w in rows], [float(w[1]) for w in rows]

def xrdml(name):
    t = text(name)
    v = re.search(r'<(counts|intensities) [^>]*>([^<]*)', t)
    y = [float(s) for s in v.group(2).split()]
    a = re.search(r'<beamAttenuationFactors>([^<]*)', t)
    if a and v.group(1) == 'counts':
        y = [p * float(f) for p, f in zip(y, a.group(1).split())]
    p = re.search(r'axis="2Theta" unit="deg">\s*<startPosition>([^<]*)</startPosition>\s*<endPosition>([^<]*)', t)
    s, e = float(p.group(1)), float(p.group(2))
    return grid(s, (e - s) / (len(y) - 1), y)

def brml(name):
    t = zipfile.ZipFile(os.path.join(root, name)).read('Experiment0/RawData0.xml').decode()
    rows = [r.split(',') for r in re.findall('<Datum>(.*?)</Datum>', t)]
    return [float(r[2]) for r in rows], [float(r[4]) for r in rows]

def rasx(name):
    t = zipfile.ZipFile(os.path.join(root, name)).read('Data0/Profile0.txt').decode('utf-8-sig')
    rows = [r.split() for r in t.splitlines()]
    return [float(r[0]) for r in rows], [float(r[1]) * float(r[2]) for r in rows]

def tail_floats(name, start, step, n, head):   # the last n floats of the file, after `head` bytes
    d = raw(name)
    assert len(d) == head + 4 * n, (name, len(d))
    return grid(start, step, list(struct.unpack('<%df' % n, d[head:])))

def raw4(name):                            # one range, records of one float, at the end of the file
    d = raw(name)
    k = d.index(b'Locked Coupled') - 32
    start, step, n = struct.unpack_from('<ddI', d, k + 72)
    return tail_floats(name, start, step, n, len(d) - 4 * n)

def raw3(name):                            # one range of a 304-byte header and 40 bytes more
    d = raw(name)
    n, = struct.unpack_from('<I', d, 716)
    start, = struct.unpack_from('<d', d, 728)
    step, = struct.unpack_from('<d', d, 888)
    return tail_floats(name, start, step, n, 712 + 304 + 40)

def uxd(name):                             # listed angles are rounded: start and step of the header
    t = text(name)
    y = [float(l.split()[1]) for l in t.split('_2THETACOUNTS')[1].split('\n') if l]
    return grid(3.0, 0.015592, y)

def stoe(name):                            # 5404 words at 0xa00, as the header at 0x800 says
    return grid(10.0, 0.015, list(struct.unpack_from('<5404I', raw(name), 0xa00)))

def three(name, at, start, step, n):       # format1.raw: its three ranges, offsets by hand
    return grid(start, step, list(struct.unpack_from('<%df' % n, raw(name), at)))

def steps(name, skip, start, step, n):
    v = [float(s) for l in text(name).splitlines()[skip:] for s in re.findall(r'^[-\d.\s]+$', l) for s in s.split()]
    return grid(start, step, v[:n])

def cif(name):
    rows = text(name).split('_pd_calc_intensity_total\n')[1].split('\n')
    y = [float(r.split('(')[0]) for r in rows if re.match(r'\d+\(', r)]
    return grid(1.518, 0.05, y)

table = [(R + 'FAP.XRA', 'gsas', fixed_std), (R + 'PBSO4.XRA', 'gsas', fixed_std), (R + 'PBSO4.CWN', 'gsas', fixed_std),
         (R + 'NIST660CBI.gsas', 'gsas', fixed_std), (R + '11BM_NAC.fxye', 'gsas', fxye),
         (R + '11bmb_8716.fxye', 'gsas', fxye), (R + '11BM_Si640c.xy', 'columns', columns),
         (R + 'Al2O3_676a.xy', 'columns', columns), (M + 'cpd-1g.prn', 'columns', columns),
         (M + 'cpd-1h.prn', 'columns', columns), (R + 'LaB6_Jan2018.raw', 'bruker', raw3)]
table += [(M + n, 'xrdml', xrdml) for n in sorted(os.listdir(root + '/' + M)) if n.endswith('.xrdml')]
table += [(F + n, 'xrdml', xrdml) for n in ('RbNb2O5F.xrdml', 'Scan_C1.xrdml', 'empyrean.xrdml', 'm54313_om2th_10.xrdml')]
table += [(F + n, 'columns', columns) for n in ('RbNb2O5F.dat', 'SbI3.xy', 'SbI3.xye', 'example_bmb.xye',
          'example_evadiffract.xy', 'example_mac.xye', 'example_mythen.dat')]
table += [(F + n, 'brml', brml) for n in ('SbI3.brml', 'TiOF.brml')]
table += [(F + n, 'rasx', rasx) for n in ('TwoTheta_scan_powder.rasx', 'JO_KL_16_ZF_3_60deg_0.02step_12degpermin_001.rasx')]
table += [(F + n, 'bruker', raw4) for n in ('SbI3.raw', 'BaZrS3.raw', 'TiO2.raw', 'bruker.raw')]
table += [(F + 'BT86.raw', 'bruker', raw3), (F + 'BT86_.UXD', 'uxd', uxd), (F + 'stoe.raw', 'stoe', stoe),
          (F + 'brk_raw1.raw', 'bruker', lambda n: tail_floats(n, 4.98, 0.04, 876, 156)),
          (F + 'brk_raw2.raw', 'bruker', lambda n: tail_floats(n, 5.0, 0.02, 7251, 316)),
          (F + 'format1.raw', 'bruker', lambda n: three(n, 1016, 10, 0.1, 101)),
          (F + 'format1.raw', 'bruker', lambda n: three(n, 1724, 30, 0.2, 26)),
          (F + 'format1.raw', 'bruker', lambda n: three(n, 2132, 40, 0.1, 51)),
          (F + 'D1A5.dat', 'steps', lambda n: steps(n, 5, -10.0, 0.1, 1680)),
          (F + 'PSI_DMC.dat', 'steps', lambda n: steps(n, 3, 2.948, 0.05, 3200)), (F + '1517474.cif', 'pdcif', cif)]
index = {}
print('# written by patterns.py; angles in degrees of 2theta\n# file\treader\tindex\tn\tx_first\tx_last\ty_max\ty_sum')
for name, reader, read in table:
    x, y = read(name)
    if x[0] > x[-1]:
        x, y = x[::-1], y[::-1]
    k = index[name] = index.get(name, -1) + 1
    print(name, reader, k, len(x), '%.10g' % x[0], '%.10g' % x[-1], '%.12g' % max(y), '%.15g' % sum(y), sep='\t')
