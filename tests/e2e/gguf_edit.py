"""Reads a small GGUF file whole, changes it, writes it again, whole or in parts: what the tests need of other files."""
import pathlib
import struct

ALIGNMENT = 32
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9
FORMATS = {"u16": (2, "<H"), "u32": (4, "<I"), "i32": (5, "<i"), "f32": (6, "<f"), "bool": (7, "<?")}
F32 = 0


def text(value):
    raw = value.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(raw)) + raw


class Gguf:
    """keys: {name: type id and value, as bytes}; tensors: [(name, dims, type id, data)], in file order."""

    def __init__(self, path):
        self.raw = pathlib.Path(path).read_bytes()
        assert self.raw[:4] == b"GGUF"
        self.at = 8
        tensors, keys = self.take("<Q"), self.take("<Q")
        self.keys = {}
        for _ in range(keys):
            name = self.string()
            start = self.at
            self.skip(self.take("<I"))
            self.keys[name] = self.raw[start:self.at]
        infos = []
        for _ in range(tensors):
            name = self.string()
            dims = [self.take("<Q") for _ in range(self.take("<I"))]
            infos.append((name, dims, self.take("<I"), self.take("<Q")))
        data = self.raw[-(-self.at // ALIGNMENT) * ALIGNMENT:]
        ends = sorted(info[3] for info in infos) + [len(data)]
        self.tensors = [(name, dims, kind, data[offset:ends[ends.index(offset) + 1]])
                        for name, dims, kind, offset in infos]

    def take(self, layout):
        value = struct.unpack_from(layout, self.raw, self.at)[0]
        self.at += struct.calcsize(layout)
        return value

    def string(self):
        length = self.take("<Q")
        self.at += length
        return self.raw[self.at - length:self.at].decode("utf-8", "surrogateescape")

    def skip(self, kind):
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            inner, count = self.take("<I"), self.take("<Q")
            for _ in range(count):
                self.skip(inner)
        else:
            self.at += SIZES[kind]

    def set(self, name, kind, value):
        if kind == "str":
            self.keys[name] = struct.pack("<I", STRING) + text(value)
        else:
            number, layout = FORMATS[kind]
            self.keys[name] = struct.pack("<I", number) + struct.pack(layout, value)

    def add_floats(self, name, values):
        self.tensors.append((name, [len(values)], F32, struct.pack(f"<{len(values)}f", *values)))

    def write(self, path):
        path = pathlib.Path(path)
        path.write_bytes(serialise(self.keys, self.tensors))
        return path

    def write_split(self, folder, stem, counts):
        """One part for each count of tensors; metadata in the first, as llama.cpp's splitter does. The parts' paths."""
        assert sum(counts) == len(self.tensors)
        paths, first = [], 0
        for number, count in enumerate(counts):
            part = {"split.no": ("u16", number), "split.count": ("u16", len(counts)),
                    "split.tensors.count": ("i32", len(self.tensors))}
            keys = dict(self.keys) if number == 0 else {}
            for name, (kind, value) in part.items():
                keys[name] = struct.pack("<I", FORMATS[kind][0]) + struct.pack(FORMATS[kind][1], value)
            path = pathlib.Path(folder) / f"{stem}-{number + 1:05}-of-{len(counts):05}.gguf"
            path.write_bytes(serialise(keys, self.tensors[first:first + count]))
            paths.append(path)
            first += count
        return paths


def padded(data):
    return data + bytes(-len(data) % ALIGNMENT)


def serialise(keys, tensors):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(text(name) + value for name, value in keys.items())
    offset = 0
    for name, dims, kind, data in tensors:
        head += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)
        offset += len(padded(data))
    return padded(head) + b"".join(padded(data) for _, _, _, data in tensors)
