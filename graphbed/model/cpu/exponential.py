"""The exponential function in float32, as additions and multiplications that the compiler turns into vector code."""

import numpy as np

from graphbed.model.cpu.intrinsics import power_of_two

LOG2_E = np.float32(1.4426950408889634)
LOWEST_EXPONENT = np.float32(-127)
HIGHEST_EXPONENT = np.float32(127)
ROUND_AND_BIAS = np.float32(127.5)
BIAS = np.float32(127)

# Taylor coefficients of 2^f at 0: (ln 2)^k / k!. For |f| ≤ 1/2 the first left out is below 1.3e-7 of the result.
E1 = np.float32(0.6931471805599453)
E2 = np.float32(0.2402265069591007)
E3 = np.float32(0.05550410866482158)
E4 = np.float32(0.009618129107628477)
E5 = np.float32(0.0013333558146428443)
E6 = np.float32(0.00015403530393381608)


def exp32(x: np.float32) -> np.float32:
    """e^x within 4e-7 of the result for |x| ≤ 80; exactly 0 below -88, at most e^88 above. NaN stays NaN."""
    t = x * LOG2_E
    if t < LOWEST_EXPONENT:
        t = LOWEST_EXPONENT
    if t > HIGHEST_EXPONENT:
        t = HIGHEST_EXPONENT
    biased = np.int32(t + ROUND_AND_BIAS)
    f = t - (np.float32(biased) - BIAS)
    series = np.float32(1) + f * (E1 + f * (E2 + f * (E3 + f * (E4 + f * (E5 + f * E6)))))
    return series * power_of_two(biased)


def softplus_of_exp(decay: np.float32) -> np.float32:
    """log(1 + decay) for 0 ≤ decay ≤ 1, within 2e-7: twice the area tangent of decay/(2 + decay), as a series."""
    z = decay / (np.float32(2) + decay)
    q = z * z
    series = np.float32(1 / 9) + q * (np.float32(1 / 11) + q * np.float32(1 / 13))
    series = np.float32(1) + q * (np.float32(1 / 3) + q * (np.float32(1 / 5) + q * (np.float32(1 / 7) + q * series)))
    return np.float32(2) * z * series
