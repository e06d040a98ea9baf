//! WebAssembly's 128-bit vectors, with a fused multiply-add if the build asks for relaxed-simd.

use super::Lanes;
use core::arch::wasm32::*;

#[derive(Clone, Copy)]
pub(in crate::kernel) struct F32x4(v128);

impl Lanes for F32x4 {
    const LEN: usize = 4;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self(f32x4_splat(x))
    }
    #[inline(always)]
    unsafe fn load_from(from: *const f32) -> Self {
        // SAFETY: the caller vouches for 16 readable bytes; v128_load needs no alignment.
        Self(unsafe { v128_load(from.cast()) })
    }
    #[inline(always)]
    unsafe fn store_to(self, to: *mut f32) {
        // SAFETY: the caller vouches for 16 writable bytes; v128_store needs no alignment.
        unsafe { v128_store(to.cast(), self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(f32x4_add(self.0, other.0))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(f32x4_sub(self.0, other.0))
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(f32x4_mul(self.0, other.0))
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        Self(f32x4_div(self.0, other.0))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(f32x4_sqrt(self.0))
    }
    #[inline(always)]
    fn mul_add(self, x: Self, y: Self) -> Self {
        #[cfg(target_feature = "relaxed-simd")]
        return Self(f32x4_relaxed_madd(self.0, x.0, y.0));
        #[cfg(not(target_feature = "relaxed-simd"))]
        return self.mul(x).add(y);
    }
    // The pseudo-minimum and -maximum are one instruction on x86; f32x4.min and .max are eight. With relaxed-simd LLVM
    // makes relaxed ones of them, which may lose a NaN, and a loss that is none would not be noticed: so there they are
    // spelt as what they mean.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        #[cfg(target_feature = "relaxed-simd")]
        return Self(i32x4_relaxed_laneselect(other.0, self.0, f32x4_lt(other.0, self.0)));
        #[cfg(not(target_feature = "relaxed-simd"))]
        return Self(f32x4_pmin(self.0, other.0));
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        #[cfg(target_feature = "relaxed-simd")]
        return Self(i32x4_relaxed_laneselect(other.0, self.0, f32x4_lt(self.0, other.0)));
        #[cfg(not(target_feature = "relaxed-simd"))]
        return Self(f32x4_pmax(self.0, other.0));
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        Self(i32x4_shl(self.0, 23))
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        let halves = f32x4_add(self.0, i32x4_shuffle::<2, 3, 2, 3>(self.0, self.0));
        f32x4_extract_lane::<0>(halves) + f32x4_extract_lane::<1>(halves)
    }
    #[inline(always)]
    fn maximum(self) -> f32 {
        let Self(halves) = self.max(Self(i32x4_shuffle::<2, 3, 2, 3>(self.0, self.0)));
        f32x4_extract_lane::<0>(halves).max(f32x4_extract_lane::<1>(halves))
    }
}
