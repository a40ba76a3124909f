"""DNA from real files: genomes, variants and the windows cut around them (docs/dna.md).

    Genome       bases of an indexed FASTA file, any length                        genome.py
    Site         one record of a variant file, on the genome's plus strand         site.py
    AllelePair   the window around a site with either of two alleles               alleles.py

pysam reads and indexes the files; it is imported when one is opened.
"""
