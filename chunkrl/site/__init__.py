"""The course as pages that need no kernel: what each shows, drawn and written once."""
