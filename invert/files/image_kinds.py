"""Formats of image files that are read, and what the first bytes of other files say."""

from __future__ import annotations

# Formats of pictures, with decoders that start no other program (EPS would call Ghostscript).
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF")
PLUGINS = {  # kind: (Pillow's name for it, module that registers it, package to install)
    "HEIC": ("HEIF", "pillow_heif.HeifImagePlugin", "pillow-heif"),
    "AVIF": ("AVIF", "pillow_avif", "pillow-avif-plugin"),
    "JPEG XL": ("JXL", "pillow_jxl.JpegXLImagePlugin", "pillow-jxl-plugin"),
}


def image_kind(data: bytes) -> str | None:
    """What the first bytes say of files that are no pictures or need a plugin; None for others."""
    # Text and archives.
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer"
    if head.startswith(b"<"):
        return "HTML" if b"html" in head else "SVG" if b"<svg" in head else "XML"
    if head.startswith(b"%pdf"):
        return "PDF"
    if head.startswith(b"%!ps"):
        return "PostScript"
    if head.startswith((b"pk\3\4", b"\x1f\x8b", b"7z\xbc\xaf", b"\x80\2", b"\x80\4")):
        return "an archive or a model file"

    # Boxes of ISO media files, and JPEG XL.
    if data[4:8] == b"ftyp":
        box = data[8 : min(int.from_bytes(data[:4], "big"), 512)]
        brands = {box[k : k + 4] for k in range(0, len(box), 4)}
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        heic = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
        return "HEIC" if brands & heic else "a video"
    if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "JPEG XL"

    return "text" if head and all(32 <= c < 127 or c in b"\t\r\n" for c in head) else None
