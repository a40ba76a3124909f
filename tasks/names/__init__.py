"""Names of molecules: from a structure (openclatura), and back to one (OPSIN through py2opsin, which needs Java)."""
