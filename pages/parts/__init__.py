"""What the pages share and only Streamlit needs: guard, filters, loads, cards."""
