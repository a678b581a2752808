# A server in a container, for: docker build -t pixelflight . && docker run -v lake:/data \
#   -p 127.0.0.1:8815:8815 -p 127.0.0.1:8816:8816 pixelflight
# The project's tests do not build this image.
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 pixelflight \
    && install --directory --owner=pixelflight /data
COPY pyproject.toml README.md LICENSE /src/
COPY flight_server /src/flight_server
COPY control_api /src/control_api
RUN pip install --no-cache-dir /src

USER pixelflight
VOLUME /data
EXPOSE 8815 8816
# Inside the container every address is reachable from outside it, so authentication stays on; the
# administrator's key is in /data/admin.key.
ENV PIXELFLIGHT_DATA=/data \
    PIXELFLIGHT_FLIGHT=0.0.0.0:8815 \
    PIXELFLIGHT_HTTP=0.0.0.0:8816
HEALTHCHECK CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8816/health/ready')"]
ENTRYPOINT ["pixelflight"]
CMD ["serve"]
