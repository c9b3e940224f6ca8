# SPDX-License-Identifier: GPL-3.0-or-later
# Frames/s and seconds a plan of pyFAI on the frames of bench.c, when it is installed:
#   python3 pyfai.py ROWS COLUMNS DTYPE  ->  "frames_per_second plan_seconds version"
import sys, time
import numpy
import pyFAI
from pyFAI.azimuthalIntegrator import AzimuthalIntegrator

rows, columns, dtype = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
ai = AzimuthalIntegrator(dist=0.21, poni1=0.087, poni2=0.080, rot1=-0.018, rot2=0.004, rot3=0,
                         pixel1=172e-6, pixel2=172e-6, wavelength=0.4066e-10)
index = numpy.arange(rows * columns, dtype=numpy.uint64)
frames = [((index * 2654435761 + 977 * k) >> 22 & 1023).astype(dtype).reshape(rows, columns) for k in range(4)]


def integrate(frame):
    return ai.integrate1d_ng(frame, 2000, unit="2th_deg", method=("full", "csr", "cython"), error_model="poisson",
                             polarization_factor=0.99, correctSolidAngle=True)


start = time.time()
integrate(frames[0])
plan = time.time() - start
times = []
for k in range(12):
    start = time.time()
    integrate(frames[k % 4])
    times.append(time.time() - start)
print(1 / sorted(times)[len(times) // 2], plan, pyFAI.version)
