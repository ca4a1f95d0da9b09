"""Pushlift's dashboard: page config, who may look, navigation, shared filters; nothing else."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core import logs
from pages.parts import access, filters, guard
from pages.parts.data import settings_or_none

# An own icon: those of Streamlit's sets are fetched from elsewhere.
ICON = Path(__file__).parent / "pages" / "parts" / "pushlift.svg"
st.set_page_config(page_title="Pushlift", page_icon=str(ICON), layout="wide")

PAGES = {
    "overview": st.Page(
        "pages/overview.py",
        title="Overview",
        icon=":material/space_dashboard:",
        url_path="home",  # its address is the bare one; HOME answers its name
        default=True,
        help="What came after the pushes of a period: the finding, the layers, the campaigns.",
    ),
    "layers": st.Page(
        "pages/layers.py",
        title="Layers",
        icon=":material/layers:",
        url_path="layers",
        help="The layers side by side, and the campaigns of each.",
    ),
    "campaign": st.Page(
        "pages/campaign.py",
        title="Campaign",
        icon=":material/send:",
        url_path="campaign",
        help="One campaign: verdict, number, interval, every metric, who was measured.",
    ),
    "quality": st.Page(
        "pages/quality.py",
        title="Data quality",
        icon=":material/fact_check:",
        url_path="quality",
        help="From rows to measured users, what is missing, and what reading cost.",
    ),
    "reports": st.Page(
        "pages/reports.py",
        title="Reports",
        icon=":material/download:",
        url_path="reports",
        help="What is on screen as CSV, JSON, Excel or one ZIP.",
    ),
    "method": st.Page(
        "pages/method.py",
        title="Method",
        icon=":material/menu_book:",
        url_path="method",
        help="How a number comes about, and what it does not show.",
    ),
}

HOME = st.Page(
    lambda: guard.go_home(PAGES["overview"]), title="Overview", url_path="overview",
    visibility="hidden",
)  # fmt: skip

SIGN_OUT = st.Page(
    access.sign_out, title="Sign out", icon=":material/logout:", url_path="sign-out"
)  # fmt: skip

settings = settings_or_none()
logs.configure(settings, secrets=access.secrets())
visitor = access.gate(settings)
if not visitor.is_open:
    # without any navigation Streamlit would list the files below pages/
    st.navigation([*PAGES.values(), HOME], position="hidden")
    access.ask_and_stop(visitor, wanted=guard.wanted())
if guard.is_new():
    guard.resume(access.remembered())
# Filters come before the navigation: drawn after it, they may put themselves into the address one
# step later than the page does, and going back from a campaign would end between the two.
if settings is not None and not guard.is_passing_through():
    filters.draw(settings)
menu = [SIGN_OUT] if visitor.kind == "admitted" else []
page = st.navigation([*PAGES.values(), *menu, HOME], position="top")
guard.onward(PAGES)
guard.tidy(page)
page.run()
