"""Draws every hostile text as pages draw text from outside; run by tests.pages.test_injection."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.publish import figures
from core.publish.theme import safe
from pages.parts import waiting
from pages.parts.plain import plain
from tests.pages.test_injection import SHORTEST, shown_payloads
from tests.publish import examples

st.title("Texts", anchor=False)
texts = shown_payloads()
ways = (
    st.markdown,
    st.caption,
    waiting.sentence,
    lambda text: st.metric(text, "1", delta_description=text, help=text),
    lambda text: st.subheader(text, anchor=False),
    lambda text: st.expander(text),
    lambda text: st.selectbox(text, ["one"], key=text, help=text),
)
with st.container(key="texts"):
    for text in texts:
        st.markdown(plain(text))
for at, text in enumerate(texts[::4]):
    way = ways[at % len(ways)]
    way(text if way is waiting.sentence else plain(f"{at} {text}"))
few = texts[::5]
lifts = examples.lifts(len(few))
rows = lifts[lifts["metric"] == "sessions"].assign(label=few)
st.plotly_chart(
    figures.forest(rows, theme="light", title=texts[0]), theme=None, alt=texts[1], key="forest"
)
some = texts[1::4]
bare = go.Figure(go.Bar(x=[safe(text, limit=SHORTEST) for text in some], y=[1] * len(some)))
bare.update_layout(xaxis={"tickmode": "linear"}, title=safe(texts[2]), width=3_000)
bare.update_traces(text=[safe(text) for text in some], textposition="outside")
st.plotly_chart(bare, theme=None, alt=texts[3], key="bare")
st.dataframe(pd.DataFrame({"text": texts}), alt=texts[4], column_config={"text": "Text"})
st.text("drawn")
