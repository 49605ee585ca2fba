"""Any evaluator on Ray actors."""
