"""Texts that something, somewhere, would run, or that break what holds them."""

from __future__ import annotations

MARKUP = (
    "![pixel](https://evil.test/p.png)", "[here](https://evil.test)", "[x]: https://evil.test",
    "<https://evil.test>", "https://evil.test", "www.evil.test", "evil@evil.test",
    "mailto:evil@evil.test", "xmpp:evil@evil.test", "ftp://evil.test/x", "HTTPS://EVIL.TEST",
    "[a](javascript:alert(1))", "[a](data:text/html;base64,PHNjcmlwdD4=)", "[[a]](//evil.test)",
    "**bold**", "__bold__", "*it*", "~~gone~~", "`code`", "```\ncode\n```", "    code", "# Head",
    "Head\n====", "> quote", "- item", "1. item", "- [ ] task", "|a|b|\n|-|-|\n|1|2|", "---", "***",
    "a\n\nb", "a  \nb", "a\\\nb", "&lt;b&gt;", "&#60;b&#62;", "&nbsp;", "\\<b\\>", "$x^2$", "$$x$$",
    "\\(x\\)", "\\[x\\]", "$\\href{https://evil.test}{x}$", "\\$x$", "$`x`$", ":red[red]",
    ":red-background[x]", ":blue-badge[x]", ":material/home:", ":smile:", ":shortcode:",
    ":streamlit:", ":small[x]", ":rainbow[x]", ":color[x]{foreground='red'}", ":gray[:red[x]]",
    "<b>b</b>", "<i>i</i>", "<sup>x</sup>", "<br>", "<a href='https://evil.test'>x</a>",
    "<a href=\"javascript:alert(1)\">x</a>", "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>", "<svg><script>alert(1)</script></svg>", "<iframe src=//evil.test>",
    "<math><mi>x</mi></math>", "<style>*{display:none}</style>",
    "<meta http-equiv=refresh content=0;url=//evil.test>", "<object data=//evil.test>",
    "<embed src=//evil.test>", "<form action=//evil.test><button>",
    "<details open ontoggle=alert(1)>", "<!--", "-->", "<![CDATA[x]]>", "<?xml version='1.0'?>",
    "\" onmouseover=\"alert(1)", "' onfocus='alert(1)' autofocus='",
    "</title><script>alert(1)</script>", "</textarea><script>alert(1)</script>",
    "</style><script>alert(1)</script>", "<scr<script>ipt>", "＜script＞alert(1)＜/script＞",
    "\u2028alert(1)", "\u2029alert(1)", "<\u200bscript>", "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>", "vbscript:x", "//evil.test",
)  # fmt: skip
BREAKERS = (
    '"', "'", "\\", '\\"', '"}', '"}]}', '\n{"a":1}', '{"__proto__":{"x":1}}', "\u0000", "\ud800",
    "\udc00x", "a\ud83d", "\r\n", "\t", "\x1b[31mred\x1b[0m", "\x08\x08\x08", "\x85", "\x7f",
    "\u202egnp.exe", "\u2066x\u2069", "\u200f\u200e", "e\u0301" * 60, "\u0489" * 200, "😀" * 200,
    "🏳️‍🌈👩‍👩‍👧‍👦", "ﷺ" * 40, "ß", "İ", "ﬀ", "\ufdd0", "\uffff", "\U0010ffff", "NaN", "Infinity",
    "null", "true", "1e999", "-0", "0x10", "1/2/2026", "00:00", "2026-01-01T00:00:00Z", "A" * 5_000,
    " " * 300, "a" * 40_000, "=" * 40_000, "🦊" * 20_000, "", " ", "\u00a0", "\u3000=1", "\ufeff",
    "None",
)  # fmt: skip
QUERIES = (
    "' OR 1=1 --", "'; DROP TABLE users; --", "\" OR \"\"=\"",
    "') UNION SELECT email FROM users --", "%", "_", "%_%", "\\%", "100%", "{{ values.x }}",
    "{values.x}", "{{7*7}}", "${7*7}", "#{7*7}", "{% raw %}", "{0.__class__}", "%s", "%(x)s", ":x",
    "?", "$1", "\\'; SELECT 1 --", "/* x */", "--", "x' AND sleep(9) AND '1", "properties.$email",
    "1; SELECT pg_sleep(9)", "\\0", "\\x27", "`id`", "$(id)", "| id", "; id", "../../etc/passwd",
    "..\\..\\x", "file:///etc/passwd", "\\\\evil\\x",
)  # fmt: skip
