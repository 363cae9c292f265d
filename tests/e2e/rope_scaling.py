"""Models whose RoPE is stretched, and what they should compute: the reference forward pass with the frequencies and the
magnitude that Hugging Face publishes (transformers, modeling_rope_utils.py: _compute_linear_scaling_rope_parameters,
_compute_yarn_parameters, _compute_llama3_parameters), in float64.

Nothing here looks at how the server computes them. What the file holds comes from the same numbers the way llama.cpp's
converter writes them: keys for linear and YaRN, divisors in the tensor rope_freqs.weight for Llama 3.
"""
import math

import exactness
import gguf_edit


class Scaling:
    """base, dim: RoPE's theta and rotated elements. Frequencies: numpy, (dim / 2)."""

    def __init__(self, numpy, base, dim):
        self.numpy, self.base, self.dim = numpy, base, dim
        self.plain = 1.0 / base ** (numpy.arange(0, dim, 2) / dim)

    def linear(self, factor):
        return self.plain / factor, 1.0

    def yarn(self, factor, original, beta_fast=32.0, beta_slow=1.0, attn_factor=1.0):
        def dim_of(rotations):
            return self.dim * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(self.base))
        low = max(math.floor(dim_of(beta_fast)), 0)
        high = min(math.ceil(dim_of(beta_slow)), self.dim - 1)
        ramp = self.numpy.clip((self.numpy.arange(self.dim // 2) - low) / max(high - low, 0.001), 0, 1)
        extrapolated = 1 - ramp
        frequencies = self.plain / factor * (1 - extrapolated) + self.plain * extrapolated
        return frequencies, (0.1 * math.log(factor) + 1.0) * attn_factor

    def llama3(self, factor, low_factor, high_factor, original):
        wavelengths = 2 * math.pi / self.plain
        smooth = (original / wavelengths - low_factor) / (high_factor - low_factor)
        blended = (1 - smooth) * self.plain / factor + smooth * self.plain
        slow = self.numpy.where(wavelengths > original / low_factor, self.plain / factor, blended)
        return self.numpy.where(wavelengths < original / high_factor, self.plain, slow), 1.0


class Reference(exactness.Reference):
    """The exact forward pass with other rotations than the file's tool knows."""

    def __init__(self, path, make):
        super().__init__(path)
        import numpy  # the reference needs it anyway; without it the test has skipped by now
        model = self.model
        self.plain = Scaling(numpy, model.base, model.rot)
        self.frequencies, self.magnitude = make(self.plain)
        self.numpy = numpy
        model.rope = self.rope

    def rope(self, x, positions):
        """x (tokens, heads, head_dim): neighbouring pairs for llama, halves for the others."""
        half, interleaved = self.model.rot // 2, self.model.arch == "llama"
        angles = positions[:, None] * self.frequencies[None]
        cos = (self.numpy.cos(angles) * self.magnitude)[:, None]
        sin = (self.numpy.sin(angles) * self.magnitude)[:, None]
        first = slice(0, 2 * half, 2) if interleaved else slice(0, half)
        second = slice(1, 2 * half, 2) if interleaved else slice(half, 2 * half)
        turned = x.copy()
        turned[..., first] = x[..., first] * cos - x[..., second] * sin
        turned[..., second] = x[..., first] * sin + x[..., second] * cos
        return turned


# name -> (preset, keys below <architecture>.rope., what the reference computes)
CASES = {
    "linear": ("tiny-llama", {"scaling.type": ("str", "linear"), "scaling.factor": ("f32", 4.0)},
               lambda s: s.linear(4.0)),
    "linear, old key": ("tiny-qwen2", {"scale_linear": ("f32", 2.5)}, lambda s: s.linear(2.5)),
    "yarn": ("tiny-qwen2", {"scaling.type": ("str", "yarn"), "scaling.factor": ("f32", 4.0),
                            "scaling.original_context_length": ("u32", 64)},
             lambda s: s.yarn(4.0, 64)),
    "yarn, every key": ("tiny-qwen3", {"scaling.type": ("str", "yarn"), "scaling.factor": ("f32", 8.0),
                                       "scaling.original_context_length": ("u32", 1024),
                                       "scaling.attn_factor": ("f32", 0.8), "scaling.yarn_beta_fast": ("f32", 16.0),
                                       "scaling.yarn_beta_slow": ("f32", 2.0)},
                        lambda s: s.yarn(8.0, 1024, 16.0, 2.0, 0.8)),
    "llama3": ("tiny-llama", {}, lambda s: s.llama3(8.0, 1.0, 4.0, 128)),
}


def write_model(plain_path, path, name):
    """The model of a case: the file at plain_path with the case's keys or divisors. Returns its reference."""
    preset, keys, make = CASES[name]
    file = gguf_edit.Gguf(plain_path)
    architecture = preset.removeprefix("tiny-")
    for key, (kind, value) in keys.items():
        file.set(f"{architecture}.rope.{key}", kind, value)
    reference = Reference(plain_path, make)
    if not keys:
        file.add_floats("rope_freqs.weight", list(reference.plain.plain / reference.frequencies))
    file.write(path)
    return reference
