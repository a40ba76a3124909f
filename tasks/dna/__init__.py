"""Reading of DNA from files: genomes, variants, and windows around variants (docs/dna.md).

    Genome       bases of an indexed FASTA file, any length                        genome.py
    Site         one record of a variant file, on the plus strand of the genome    site.py
    AllelePair   the window around a site with either of two alleles               alleles.py

pysam reads and indexes the files; it is imported when a file is opened.
"""
