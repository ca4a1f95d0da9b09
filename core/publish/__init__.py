"""Tables, workbooks, figures and files made from results."""
