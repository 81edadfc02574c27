# The image that the Astro CLI builds (`astro dev start`, `astro deploy`). Its ONBUILD steps install packages.txt and requirements.txt
# and copy the project to /usr/local/airflow before anything below runs; the `sluicegate` package is therefore installed here.
FROM astrocrpublic.azurecr.io/runtime:3.3-2-python-3.11

USER root
RUN pip install --no-cache-dir --no-deps --editable /usr/local/airflow/include
USER astro

ENV SLUICEGATE_PROJECT=/usr/local/airflow \
    SLUICEGATE_HOME=/usr/local/airflow/var
