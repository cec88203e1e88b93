"""The referee: the protocol in its smallest form, which the evaluators must agree with."""
